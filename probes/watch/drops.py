"""Drops that nodes handed over: kept apart from the timeline, since they are losses told, not causes. Pure; knows no socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from reports.evidence.handed import Flow

MOST = 1 << 17
"""Lines kept, about 40 MB: a flood that one node tells of must not fill the harness's memory."""


@dataclass(frozen=True, slots=True)
class HandedDrop:
    """`count` packets that `node` says it dropped for `reason`, the first and the last at these instants (CLOCK_MONOTONIC ns).
    They are all of `flow`; where that is None, of flows that the node did not name."""

    node: str
    source: str
    reason: str
    flow: Flow | None
    count: int
    first_ns: int
    last_ns: int
    detail: str = ""


class Drops:
    """The newest lines, up to `most`."""

    def __init__(self, most: int = MOST) -> None:
        self._kept: deque[HandedDrop] = deque()
        self._most = most

    def add(self, drops: Iterable[HandedDrop]) -> list[HandedDrop]:
        """Takes them in; those that had to be forgotten for it."""
        self._kept.extend(drops)
        return [self._kept.popleft() for _ in range(len(self._kept) - self._most)]

    def forget(self, before_ns: int) -> None:
        """Lets go of those that were over by then."""
        self._kept = deque(drop for drop in self._kept if drop.last_ns >= before_ns)

    def between(self, t0_ns: int, t1_ns: int) -> list[HandedDrop]:
        """Those of which some packet may have been dropped in [t0, t1), in order of their first."""
        found = (drop for drop in self._kept if max(drop.first_ns, t0_ns) <= min(drop.last_ns, t1_ns - 1))
        return sorted(found, key=lambda drop: drop.first_ns)
