"""How far each lost probe came, from the links on which it was seen. Pure: it knows nodes by name, and nothing of reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Leg:
    """A link in one direction, as a probe takes it (`answer`: its answer). `interface`: the sender's, since two nodes may have
    several links; `cut`: a cut took it there."""

    sender: str
    receiver: str
    interface: str = ""
    answer: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """The last element that saw a probe. `toward`: the node to which a cut link led; None where no cut took it. `answer`: it was on
    its way back, which began at `turned`. `home`: its answer came back to the vantage. `via`: who sent it there. `interface`: by
    which it left `via` or, where a cut took it, `node`."""

    node: str
    toward: str | None = None
    answer: bool = False
    home: bool = False
    turned: str | None = None
    via: str | None = None
    interface: str = ""


def places(vantage: str, count: int, seen: Sequence[tuple[Leg, Bits]]) -> list[Place | None]:
    """For each of `count` probes of a flow from `vantage`, the last element that saw it.

    `seen` holds for every leg which of them were seen on it. None: it was seen on no link, so it never left the vantage, or nobody
    looked. Raises ValueError where a leg's array has another length.
    """
    legs = [leg for leg, _ in seen]
    if any(len(bits) != count for _, bits in seen):
        raise ValueError(f"each leg must say something of each of {count} probes")
    if not legs:
        return [None] * count
    table = np.array([bits for _, bits in seen], np.bool_).T
    patterns, which = np.unique(table, axis=0, return_inverse=True)
    found = [_place(vantage, [leg for leg, there in zip(legs, row, strict=True) if there]) for row in patterns]
    return [found[i] for i in which.reshape(-1)]


def _place(vantage: str, legs: Sequence[Leg]) -> Place | None:
    if not legs:
        return None
    passed, cut = [leg for leg in legs if not leg.cut], [leg for leg in legs if leg.cut]
    way = _way(vantage, passed)
    at, answer = (way[-1].receiver, way[-1].answer) if way else (vantage, False)
    turned = next((leg.sender for leg in way if leg.answer), None)
    for leg in cut:  # at the trail's end, unless the trail has a hole there
        if leg.sender == at or not any(other.sender == at for other in cut):
            began = leg.sender if leg.answer and not turned else turned
            return Place(leg.sender, leg.receiver, leg.answer, turned=began, interface=leg.interface)
    via, interface = (way[-1].sender, way[-1].interface) if way else (None, "")
    return Place(at, None, answer, home=at == vantage and answer, turned=turned, via=via, interface=interface)


def _way(vantage: str, passed: Sequence[Leg]) -> tuple[Leg, ...]:
    """The longest way from the vantage over these legs, each once, the answer's after the probe's."""
    best: tuple[Leg, ...] = ()
    stack: list[tuple[Leg, ...]] = [()]
    tried = 0
    while stack and tried < MOST_TRIED:
        way = stack.pop()
        tried += 1
        best = max(best, way, key=len)
        if len(way) == len(passed):
            break
        at, answer = (way[-1].receiver, way[-1].answer) if way else (vantage, False)
        stack += [(*way, leg) for leg in passed if leg.sender == at and leg not in way and (leg.answer or not answer)]
    return best


MOST_TRIED = 4096
"""Ways that are tried for one probe: more are there only where a packet was sent in circles."""
