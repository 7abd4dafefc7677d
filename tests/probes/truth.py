"""Outages and impairments of which everything is known, and the probe records that a faultless instrument makes of them.

It stands in for a network and a prober, so that what is concluded from records can be held against what really happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from probes.flows import ANSWERED, CORRUPT, LATE, LOST, NOT_SENT, FlowTrace
from probes.packets import ProbeFlow

NO_BACKEND = 255
LATE_NS = 2_500_000_000

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy host is slow, not wrong


@dataclass(frozen=True)
class Truth:
    """One flow: it was cut in each of `outages`, [start, end) in ns in order and apart (the last one may never end within the
    `count` probes), and what befell single probes outside of them."""

    interval_ns: int
    phase_ns: int
    count: int
    outages: tuple[tuple[int, int], ...]
    late: frozenset[int] = frozenset()
    corrupt: frozenset[int] = frozenset()
    duplicate: frozenset[int] = frozenset()
    unsent: frozenset[int] = frozenset()
    delays: dict[int, int] = field(default_factory=dict)

    def due(self, seq: int) -> int:
        return self.phase_ns + seq * self.interval_ns

    def cut(self, seq: int) -> bool:
        return any(start <= self.due(seq) < end for start, end in self.outages)

    def state(self, seq: int) -> int:
        if seq in self.unsent:
            return NOT_SENT
        if self.cut(seq):
            return LOST
        return LATE if seq in self.late else CORRUPT if seq in self.corrupt else ANSWERED

    def answer_ns(self, seq: int) -> int:
        """When the answer came, 0 for never."""
        if self.state(seq) in (LOST, NOT_SENT):
            return 0
        return self.due(seq) + (LATE_NS if seq in self.late else 0) + self.delays.get(seq, 1000)

    def trace(self, number: int = 0) -> FlowTrace:
        """The records of it."""
        every = range(self.count)
        state = np.array([self.state(n) for n in every], np.uint8)
        due = np.array([self.due(n) for n in every], np.int64)
        rx = np.array([self.answer_ns(n) for n in every], np.int64)
        sent = np.where(state == NOT_SENT, 0, due)
        return FlowTrace(
            flow=ProbeFlow(
                number, "us", "echo", "10.0.0.1", 20000 + number, "203.0.113.20", 7, self.interval_ns, self.phase_ns
            ),
            seq=np.arange(self.count, dtype=np.int64),
            due=due,
            tx=sent,
            rx=rx,
            sent=sent,
            backend=np.where(rx > 0, 0, NO_BACKEND).astype(np.uint8),
            state=state,
            unstamped=np.zeros(self.count, np.bool_),
            ttl=np.where(rx > 0, 60, 0).astype(np.uint8),
            duplicate=np.array([n in self.duplicate and rx[n] > 0 for n in every], np.bool_),
        )

    def periods(self) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
        """Each loss period: the numbers of its probes, and the outages that they fell into (a late or corrupt probe is an outage
        of its own instant). Two outages are one period where nothing was sent between them."""
        numbers: list[int] = []
        behind: list[tuple[int, int]] = []
        for seq in range(self.count):
            state = self.state(seq)
            if state == ANSWERED:
                if numbers:
                    yield numbers, behind
                numbers, behind = [], []
            elif state != NOT_SENT:
                numbers.append(seq)
                hit = next(
                    (o for o in self.outages if o[0] <= self.due(seq) < o[1]), (self.due(seq), self.due(seq) + 1)
                )
                if hit not in behind:
                    behind.append(hit)
        if numbers:
            yield numbers, behind


@st.composite
def outages(draw: st.DrawFn, span_ns: int, most: int = 4, *, may_stay: bool = True) -> tuple[tuple[int, int], ...]:
    """Up to `most` outages within a span, in order and apart; the last one may stay."""
    edges = sorted(draw(st.sets(st.integers(0, span_ns), max_size=2 * most)))
    if len(edges) % 2:
        edges = [*edges, 10 * span_ns] if may_stay and draw(st.booleans()) else edges[:-1]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


@st.composite
def truths(draw: st.DrawFn, *, whole: bool = False) -> Truth:
    """A flow with outages, and (unless `whole`) probes that were late, corrupt, duplicated, delayed past others, or never sent."""
    interval = draw(st.integers(3, 1_000_000_000))
    count = draw(st.integers(1, 60))
    some = st.frozensets(st.integers(0, count - 1), max_size=0 if whole else 6)
    late, corrupt, duplicate, unsent = draw(some), draw(some), draw(some), draw(some)
    slow = draw(st.dictionaries(st.integers(0, count - 1), st.integers(1, 6 * interval), max_size=0 if whole else 8))
    return Truth(
        interval_ns=interval,
        phase_ns=draw(st.integers(0, interval - 1)),
        count=count,
        outages=draw(outages(count * interval)),
        late=late,
        corrupt=corrupt - late,
        duplicate=duplicate,
        unsent=unsent,
        delays=slow,
    )
