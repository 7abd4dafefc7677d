"""How long-lived connections ended, counted as the verdict does: of those that were there at the event, by when and how they broke.

Pure sums over the records of connections; it must not know HTML, and judges nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reports.evidence.schema import BrokenBy, Connection

Use = Literal["busy", "idle", "stream"]
USES: dict[Use, str] = {"busy": "busy", "idle": "idle", "stream": "streaming"}
HOW: dict[BrokenBy, str] = {
    "reset": "reset",
    "stall": "stall",
    "other-backend": "other backend",
    "closed": "closed without notice",
}
ANNOUNCED = "closed by the protocol"


def is_broken(connection: Connection) -> bool:
    """Whatever ended it and was not announced: a close without notice is a break like any other."""
    return connection.broken_by is not None or connection.broken_ns is not None


def is_closed(connection: Connection) -> bool:
    """Closed as the protocol provides, which breaks nothing."""
    return not is_broken(connection) and connection.closed_ns is not None


def is_established(connection: Connection, event_ns: int | None) -> bool:
    """Whether it was there at the event: those are what a limit is held against."""
    if connection.phase == "control":
        return False
    if event_ns is None:
        return True
    gone = connection.closed_ns is not None and connection.closed_ns < event_ns
    return connection.opened_ns < event_ns and not gone


@dataclass(frozen=True)
class Ended:
    """How the connections of one vantage and use ended that were there at the event; `use` is null for all of a vantage where nothing
    happened, and `uses` says which they were. `reset` to `unannounced`: broken from the event
    to the heal; `healed`: broken by the heal; `closed`: as the protocol provides."""

    vantage: str
    use: Use | None
    uses: str
    connections: int
    touched: int
    reset: int
    stall: int
    moved: int
    unannounced: int
    healed: int
    closed: int
    longest_ms: float | None

    @property
    def broken(self) -> int:
        return self.reset + self.stall + self.moved + self.unannounced

    @property
    def calm(self) -> bool:
        return not (self.broken or self.healed or self.closed)


def broke_in(connections: Iterable[Connection], phase: str, event_ns: int | None) -> list[Connection]:
    """Those that were there at the event and broke in a phase; in the fault, where none is told."""
    return [
        c
        for c in connections
        if is_broken(c) and (c.phase or "fault") == phase and (phase == "control" or is_established(c, event_ns))
    ]


def ended_by_vantage(connections: Iterable[Connection], event_ns: int | None) -> list[Ended]:
    """A line per vantage and use, in the order in which vantages come; one for a vantage that was not touched and lost nothing."""
    there = [c for c in connections if is_established(c, event_ns)]
    found = []
    for vantage in dict.fromkeys(c.vantage for c in there):
        mine = [c for c in there if c.vantage == vantage]
        whole = _ended(vantage, None, mine, event_ns)
        of = {use: [c for c in mine if c.use == use] for use in USES}
        found += (
            [whole]
            if whole.calm and not whole.touched
            else [_ended(vantage, use, some, event_ns) for use, some in of.items() if some]
        )
    return found


def _ended(vantage: str, use: Use | None, mine: list[Connection], event_ns: int | None) -> Ended:
    # a break without a word for it is of old evidence, which knew resets alone
    ways = Counter(c.broken_by or "reset" for c in broke_in(mine, "fault", event_ns))
    return Ended(
        vantage=vantage,
        use=use,
        uses=USES[use] if use else _counted(mine),
        connections=len(mine),
        touched=sum(1 for c in mine if c.touched),
        reset=ways["reset"],
        stall=ways["stall"],
        moved=ways["other-backend"],
        unannounced=ways["closed"],
        healed=len(broke_in(mine, "recovery", event_ns)),
        closed=sum(1 for c in mine if is_closed(c)),
        longest_ms=max((c.longest_answer_ms for c in mine if c.longest_answer_ms is not None), default=None),
    )


def _counted(mine: list[Connection]) -> str:
    """`26 busy, 13 idle, 1 streaming`."""
    number = Counter(c.use for c in mine)
    return ", ".join(f"{number[use]:,} {word}" for use, word in USES.items() if number[use])
