"""One event of the timeline: what was noticed, where, when, and how exactly that is known. Knows no source of events."""

from __future__ import annotations

from dataclasses import dataclass

from reports.evidence.schema import Event, Record, record


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """Something `node` did or noticed at `t_ns` (CLOCK_MONOTONIC). It happened in [t_ns − acc_ns, t_ns]: a watcher sees
    late, never early. `peer` is the node that it is about, where it is about one."""

    t_ns: int
    acc_ns: int
    node: str
    source: str
    what: str
    detail: str = ""
    peer: str | None = None
    interface: str | None = None
    prefix: str | None = None

    def event(self) -> Event:
        """As the evidence holds it; its instant, accuracy and node go into the envelope."""
        return Event(
            source=self.source,
            what=self.what,
            detail=self.detail,
            peer=self.peer,
            interface=self.interface,
            prefix=self.prefix,
        )

    def record(self, scenario: str | None = None) -> Record:
        """As one line of evidence."""
        return record(self.event(), t_ns=self.t_ns, acc_ns=self.acc_ns, scenario=scenario, node=self.node)
