"""Where the microseconds of a packet's way go, from stamps at the links' ends. Pure: it knows nodes, roles and stamps, and no lab."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["link", "node", "answer", "program"]
"""Over a link; through a node; from a probe's arrival to its answer's departure; through a node whose own hooks the packet does not
pass, since a program takes it before them (XDP), and the links on both sides of it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A packet at one end of a link: CLOCK_MONOTONIC ns, the node that has the end, the node beyond, and whether it was leaving.
    `answer`: the answer, not the probe."""

    t_ns: int
    node: str
    beyond: str
    leaving: bool
    answer: bool


@dataclass(frozen=True, slots=True)
class HopTime:
    """How long a part of the way took, over `n` stamped packets, in ns; `at_ns`: the median of when it began, after the first stamp.
    `label` names roles, since flows take different nodes of one role."""

    label: str
    kind: Kind
    n: int
    at_ns: int
    p50_ns: int
    p99_ns: int
    max_ns: int


def parts(passages: Iterable[Passage], roles: Mapping[str, str]) -> list[tuple[str, Kind, int, int]]:
    """The parts of one packet's way, there and back: label, kind, when it began after the first stamp, how long it took; ns.

    What does not fit together (a stamp is missing, or the packet went in circles) ends the way there.
    """
    ordered = sorted(passages, key=lambda p: (p.t_ns, p.answer, not p.leaving))
    found: list[tuple[str, Kind, int, int]] = []
    for a, b in itertools.pairwise(ordered):
        named = _part(a, b, roles)
        if named is None:
            break
        found.append((*named, a.t_ns - ordered[0].t_ns, b.t_ns - a.t_ns))
    return found


def _part(a: Passage, b: Passage, roles: Mapping[str, str]) -> tuple[str, Kind] | None:
    here, there = roles.get(a.node, a.node), roles.get(b.node, b.node)
    if a.node == b.node and not a.leaving and b.leaving:
        return (f"{here} answers", "answer") if a.answer != b.answer else (_way(here, b.answer), "node")
    if a.answer != b.answer:
        return None
    if a.leaving and not b.leaving and a.beyond == b.node and b.beyond == a.node:
        return _way(f"{here} → {there}", a.answer), "link"
    if a.leaving and not b.leaving and a.beyond == b.beyond:
        return _way(f"{here} → {roles.get(a.beyond, a.beyond)} → {there}", a.answer), "program"
    return None


def _way(text: str, answer: bool) -> str:
    return f"{text}, back" if answer else text


def hop_times(ways: Iterable[Sequence[tuple[str, Kind, int, int]]]) -> list[HopTime]:
    """All packets' parts taken together, in the order in which they come on the way. One that comes twice is numbered."""
    began: dict[tuple[str, Kind], list[int]] = defaultdict(list)
    took: dict[tuple[str, Kind], list[int]] = defaultdict(list)
    for way in ways:
        times: dict[str, int] = defaultdict(int)
        for label, kind, at, ns in way:
            times[label] += 1
            key = (label if times[label] == 1 else f"{label} ({times[label]})", kind)
            began[key].append(at)
            took[key].append(ns)
    found = [
        HopTime(
            label=label,
            kind=kind,
            n=len(some),
            at_ns=int(np.median(began[label, kind])),
            p50_ns=int(np.median(some)),
            p99_ns=int(np.percentile(some, 99)),
            max_ns=max(some),
        )
        for (label, kind), some in took.items()
    ]
    return sorted(found, key=lambda h: (h.at_ns, h.label))
