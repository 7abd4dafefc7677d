"""From the requests of one vantage to the figures of one phase, raw beside corrected. Pure: knows no clock and no file.

A user that waits for a stalled answer sends nothing meanwhile, so its own response times hide most of the stall
(coordinated omission, as wrk2 and HdrHistogram name it). Corrected times count from the intended start instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from probes.load.record import Request, Schedule
from reports.evidence.schema import Load, Percentiles

GIVE_UP_NS = 2_000_000_000
"""A request that is due for longer than this and not answered has failed (the Forwarding Delay Threshold, RFC 6412)."""

P99_FROM = 100
"""Below so many requests the 99th percentile is but the maximum."""

NO_ANSWER_YET = "no answer yet"


def percentiles(times_ns: Iterable[int]) -> Percentiles:
    """Nearest-rank percentiles in ms, to the microsecond."""
    ordered = sorted(times_ns)
    n = len(ordered)
    if not n:
        return Percentiles(0)

    def at(share: float) -> float:
        return _ms(ordered[max(0, math.ceil(share * n) - 1)])

    return Percentiles(n, at(0.50), at(0.95), at(0.99) if n >= P99_FROM else None, _ms(ordered[-1]))


def within(requests: Iterable[Request], t0_ns: int, t1_ns: int) -> list[Request]:
    """The requests that were due in [t0, t1)."""
    return [r for r in requests if t0_ns <= r.due_ns < t1_ns]


def unfinished(
    requests: Iterable[Request], schedules: Iterable[Schedule], horizon_ns: int, t0_ns: int, t1_ns: int
) -> Iterator[int]:
    """The intended starts in [t0, t1) whose requests had not ended at `horizon_ns`: in flight, or waiting behind one.

    Leaving them out would hide a stall that is still going on.
    """
    next_k: Counter[int] = Counter()
    for request in requests:
        next_k[request.user] = max(next_k[request.user], request.k + 1)
    for schedule in schedules:
        since_first = -(-(t0_ns - schedule.first_ns) // schedule.interval_ns)
        k = max(next_k[schedule.user], since_first)
        while (due := schedule.due_ns(k)) < min(t1_ns, horizon_ns):
            yield due
            k += 1


def own_lateness_ns(requests: Iterable[Request], t0_ns: int, t1_ns: int) -> list[int]:
    """How late each request due in [t0, t1) left for no reason but ourselves: after it was due, and its user was free.

    `requests` are all there were, in the order in which they ended: what a user waited for may lie before the window.
    """
    free: dict[int, int] = {}
    late: list[int] = []
    for request in requests:
        if request.intended_ns is None:
            continue
        if t0_ns <= request.intended_ns < t1_ns:
            could = max(request.intended_ns, free.get(request.user, 0))
            late.append(max(0, request.start_ns - could))
        free[request.user] = request.end_ns
    return late


def figures(
    requests: Sequence[Request],
    schedules: Sequence[Schedule],
    *,
    horizon_ns: int,
    vantage: str,
    phase: Literal["control", "fault", "recovery"],
    users: int,
    t0_ns: int,
    t1_ns: int,
) -> Load:
    """What became of the requests that were due in [t0, t1), as far as it is known at `horizon_ns`.

    A request without an answer so far has its age as a corrected time (it will be no less), no raw time, and counts as
    failed when it is older than GIVE_UP_NS. Without schedules no intended start is known: the corrected times are the
    raw ones, and `paced` is false.
    """
    ended = within(requests, t0_ns, t1_ns)
    waiting = [horizon_ns - due for due in unfinished(requests, schedules, horizon_ns, t0_ns, t1_ns)]
    failed = Counter(r.failure for r in ended if r.failure is not None)
    if given_up := sum(age > GIVE_UP_NS for age in waiting):
        failed[NO_ANSWER_YET] = given_up
    return Load(
        vantage=vantage,
        phase=phase,
        start_ns=t0_ns,
        end_ns=t1_ns,
        users=users,
        paced=bool(schedules),
        requests=len(ended) + len(waiting),
        failures=failed.total(),
        raw=percentiles(r.end_ns - r.start_ns for r in ended),
        corrected=percentiles([*(r.end_ns - r.due_ns for r in ended), *waiting]),
        failed_by=tuple(sorted(failed.items(), key=lambda item: (-item[1], item[0]))),
    )


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3)
