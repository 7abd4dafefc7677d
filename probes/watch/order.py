"""Whether causes come before their effects on the timeline. Pure: it knows events by their fields, and nothing of who saw them.

A route that a routing protocol changed has a cause: a BGP message to its node about its prefix, a neighbour, session or link of the
node that went or came, or a fault of it that was made or healed. Where there is none before it, but one just after it, one of the two
is badly placed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SOON_NS = 200_000_000
"""A cause that comes so long after an effect that has none is taken for its own."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An event of the timeline, CLOCK_MONOTONIC ns, known within `acc_ns`. `peer`: the node that a message went to, or that a session
    is with."""

    t_ns: int
    acc_ns: int
    node: str
    source: str
    what: str
    peer: str | None = None
    prefix: str | None = None
    by_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """`effects` that have a cause before them (`caused`), none but one just after (`wrong`: the effect and that cause), or none at all
    in what was recorded (`uncaused`: its cause may lie before the window)."""

    caused: int
    wrong: tuple[tuple[Placed, Placed], ...]
    uncaused: int

    @property
    def effects(self) -> int:
        return self.caused + len(self.wrong) + self.uncaused


def order_of(events: Iterable[Placed]) -> Order:
    """How the routes' changes are placed beside what caused them. Two instants are in order when their accuracies allow it."""
    every = sorted(events, key=lambda e: e.t_ns)
    told: dict[tuple[str, str], list[Placed]] = defaultdict(list)
    local: dict[str, list[Placed]] = defaultdict(list)
    for e in every:
        if e.source == "bgp" and e.what in ("update", "withdraw") and e.peer and e.prefix:
            told[e.peer, e.prefix].append(e)
        elif e.source in ("bfd", "link", "neighbour", "fault") or (
            e.source == "bgp" and e.what in ("notification", "open")
        ):
            for node in {e.node, e.peer} - {None}:
                local[str(node)].append(e)
    caused, uncaused = 0, 0
    wrong: list[tuple[Placed, Placed]] = []
    for effect in every:
        if effect.source != "fib" or not effect.by_protocol:
            continue
        causes = [told.get((effect.node, effect.prefix or ""), []), local.get(effect.node, [])]
        if any(_before(effect, some) for some in causes):
            caused += 1
        elif late := next(filter(None, (_just_after(effect, some) for some in causes)), None):
            wrong.append((effect, late))
        else:
            uncaused += 1
    return Order(caused, tuple(wrong), uncaused)


def _before(effect: Placed, causes: Sequence[Placed]) -> bool:
    return any(c.t_ns - c.acc_ns <= effect.t_ns + effect.acc_ns for c in causes[:1])


def _just_after(effect: Placed, causes: Sequence[Placed]) -> Placed | None:
    at = bisect_right([c.t_ns for c in causes], effect.t_ns)
    return causes[at] if at < len(causes) and causes[at].t_ns - effect.t_ns <= SOON_NS else None
