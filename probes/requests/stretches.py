"""The figure `request_fail`: for how long the new requests of one series failed, and how exactly that is known.

Pure: it knows a trace, not what was broken, nor what was promised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probes.failing import Stretch, stretches
from probes.requests.trace import IN_TIME_NS, Outcome, RequestTrace


@dataclass(frozen=True, slots=True)
class Failing:
    """Requests of one series in a window. Those that were never sent, or have not ended, are in none of the figures.

    `stretches`: with a limit of exactly 2 s after the due time. `low`: with those answered up to the straddled width after it
    as good ones. `high`: with those answered within that width before it as failed ones.
    """

    requests: int
    failed: int
    stretches: tuple[Stretch, ...]
    low: tuple[Stretch, ...]
    high: tuple[Stretch, ...]

    @property
    def request_fail_ns(self) -> int:
        """The longest stretch; of one that has not ended, how long it lasted at least."""
        return longest_ns(self.stretches)

    @property
    def range_ns(self) -> tuple[int, int]:
        """What the longest stretch is at least and at most, as far as the 2 s decide. The interval is not in it."""
        return longest_ns(self.low), longest_ns(self.high)

    @property
    def ended(self) -> bool:
        """Whether a good request came after the last failed one, or none failed."""
        return all(s.ended for s in self.stretches)


def longest_ns(found: tuple[Stretch, ...]) -> int:
    """The length of the longest stretch; 0 without any."""
    return max((s.length_ns for s in found), default=0)


def failing(trace: RequestTrace, t0_ns: int | None = None, t1_ns: int | None = None, straddle_ns: int = 0) -> Failing:
    """Of the requests due in [t0, t1). A stretch whose next good request lies outside has not ended.

    No request is kept open for more than KEPT_OPEN_NS beyond its 2 s: a wider `straddle_ns` finds no more good ones than that.
    """
    chosen = trace.known()
    if t0_ns is not None:
        chosen &= trace.due >= t0_ns
    if t1_ns is not None:
        chosen &= trace.due < t1_ns
    due, interval = trace.due[chosen], trace.series.interval_ns

    def by(limit_ns: int) -> tuple[Stretch, ...]:
        return stretches(due, trace.good(limit_ns)[chosen], interval)

    return Failing(
        requests=len(due),
        failed=int(np.count_nonzero(~trace.good()[chosen])),
        stretches=by(IN_TIME_NS),
        low=by(IN_TIME_NS + straddle_ns),
        high=by(IN_TIME_NS - straddle_ns),
    )


def failed_by(trace: RequestTrace) -> dict[Outcome, int]:
    """How many requests failed in each way, the most frequent first."""
    how, count = np.unique(trace.outcome[trace.known() & ~trace.good()], return_counts=True)
    return {Outcome(int(how[i])): int(count[i]) for i in np.argsort(-count, kind="stable")}
