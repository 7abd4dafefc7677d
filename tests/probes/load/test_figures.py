"""What response times say, raw and corrected: pure, on made requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.load.figures import GIVE_UP_NS, NO_ANSWER_YET, figures, own_lateness_ns, percentiles, unfinished, within
from probes.load.record import Request, Schedule
from reports.evidence.schema import Load

MS = 1_000_000
FOREVER = 10**15


def serve(schedule: Schedule, service_ns: list[int], late_ns: int = 0) -> list[Request]:
    """One user's requests: each leaves when it is due and the one before has ended, `late_ns` later, and takes its time."""
    made: list[Request] = []
    free = 0
    for k, takes in enumerate(service_ns):
        start = max(schedule.due_ns(k), free) + late_ns
        free = start + takes
        made.append(Request(schedule.user, schedule.target, k, schedule.due_ns(k), start, free, 200, None))
    return made


def load(requests: list[Request], schedules: list[Schedule], t0: int, t1: int, horizon: int = FOREVER) -> Load:
    return figures(requests, schedules, horizon_ns=horizon, vantage="c", phase="fault", users=1, t0_ns=t0, t1_ns=t1)


def test_a_freeze_hides_from_raw_times_and_not_from_corrected_ones() -> None:
    schedule = Schedule(user=0, target=0, first_ns=0, interval_ns=5 * MS)
    times = [MS] * 1000
    times[400] = 412 * MS
    seen = load(serve(schedule, times), [schedule], 0, 5_000 * MS)
    assert (seen.requests, seen.failures) == (1000, 0)
    assert (seen.raw.p99, seen.raw.max) == (1.0, 412.0)
    assert seen.corrected.max == 412.0
    assert seen.corrected.p99 is not None
    assert 360 <= seen.corrected.p99 <= 412  # of 1,000 requests the ten latest of the freeze are above it
    assert seen.paced


@given(st.lists(st.integers(0, 500 * MS), min_size=1, max_size=60), st.integers(1, 50), st.integers(0, 10 * MS))
def test_corrected_is_never_below_raw_and_the_same_without_a_queue(times: list[int], gap: int, late: int) -> None:
    schedule = Schedule(user=0, target=0, first_ns=7, interval_ns=gap * MS)
    made = serve(schedule, times, late)
    seen = load(made, [], 0, FOREVER)
    assert seen.raw.n == seen.corrected.n == len(times)
    assert seen.raw.p50 is not None
    assert seen.corrected.p50 is not None
    assert seen.corrected.p50 >= seen.raw.p50
    assert (seen.corrected.max or 0) >= (seen.raw.max or 0)
    if all(r.start_ns == r.intended_ns for r in made):
        assert seen.raw == seen.corrected


@given(st.lists(st.integers(0, 10**10), max_size=300))
def test_percentiles_are_of_the_sample_and_ordered(times: list[int]) -> None:
    got = percentiles(times)
    assert got.n == len(times)
    assert (got.p99 is None) == (len(times) < 100)
    if not times:
        assert got.p50 is got.p95 is got.max is None
        return
    sample = {round(t / 1e6, 3) for t in times}
    found = [p for p in (got.p50, got.p95, got.p99, got.max) if p is not None]
    assert found == sorted(found)
    assert set(found) <= sample
    assert got.p95 is not None
    at_most = sum(round(t / 1e6, 3) <= got.p95 for t in times)
    assert at_most >= math.ceil(0.95 * len(times))


@given(
    st.lists(st.integers(0, 300 * MS), max_size=40), st.integers(0, 40), st.integers(0, 2_000), st.integers(0, 2_000)
)
def test_every_intended_start_is_counted_once(times: list[int], ended: int, a: int, b: int) -> None:
    """However many have ended: those in the window that have, and those that have not, are all that were due in it."""
    schedule = Schedule(user=3, target=0, first_ns=11 * MS, interval_ns=20 * MS)
    t0, t1 = sorted((a * MS, b * MS))
    horizon = 1_500 * MS
    made = serve(schedule, times)[:ended]
    known = [r for r in made if r.end_ns <= horizon]
    waiting = list(unfinished(known, [schedule], horizon, t0, t1))
    counted = sorted([r.due_ns for r in within(known, t0, t1)] + waiting)
    due = [schedule.due_ns(k) for k in range(100)]
    assert counted == [d for d in due if t0 <= d < min(t1, horizon)]


def test_a_stall_that_goes_on_is_in_the_figures() -> None:
    schedule = Schedule(user=0, target=0, first_ns=0, interval_ns=100 * MS)
    made = serve(schedule, [MS] * 10)
    seen = load(made, [schedule], 0, 5_000 * MS, horizon=4_000 * MS)
    assert seen.requests == 40
    assert seen.raw.n == 10
    assert seen.corrected.max == 3_000.0  # due at 1 s, still not answered at 4 s
    old = [d for d in range(1_000, 4_000, 100) if 4_000 * MS - d * MS > GIVE_UP_NS]
    assert seen.failed_by == ((NO_ANSWER_YET, len(old)),)
    assert seen.failures == len(old)


def test_a_request_in_flight_is_no_failure() -> None:
    schedule = Schedule(user=0, target=0, first_ns=0, interval_ns=100 * MS)
    seen = load(serve(schedule, [MS] * 10), [schedule], 0, 5_000 * MS, horizon=1_002 * MS)
    assert (seen.requests, seen.failures, seen.corrected.max) == (11, 0, 2.0)


def test_failures_are_counted_by_reason() -> None:
    def failed(k: int, why: str | None) -> Request:
        return Request(0, 0, k, k * MS, k * MS, k * MS + 1, 0, why)

    seen = load([failed(0, "Connection refused"), failed(1, None), failed(2, "b"), failed(3, "b")], [], 0, FOREVER)
    assert seen.failures == 3
    assert seen.failed_by == (("b", 2), ("Connection refused", 1))


def test_without_intended_starts_it_says_so_and_corrected_is_raw() -> None:
    made = [Request(-1, -1, -1, None, i * MS, i * MS + 500, 200, None) for i in range(150)]
    seen = load(made, [], 10 * MS, 140 * MS)
    assert seen.requests == 130
    assert seen.raw == seen.corrected
    assert not seen.paced


@given(st.lists(st.integers(0, 300 * MS), min_size=1, max_size=40), st.integers(0, 9 * MS), st.integers(0, 600))
def test_own_lateness_is_not_the_networks(times: list[int], late: int, begin: int) -> None:
    """However slow the answers, and wherever the window begins: only our own delay counts."""
    schedule = Schedule(user=0, target=0, first_ns=0, interval_ns=15 * MS)
    found = own_lateness_ns(serve(schedule, times, late), begin * MS, FOREVER)
    assert set(found) <= {late}
    assert len(found) == sum(schedule.due_ns(k) >= begin * MS for k in range(len(times)))


def test_own_lateness_shows() -> None:
    late = Request(0, 0, 0, 100 * MS, 180 * MS, 181 * MS, 200, None)
    assert own_lateness_ns([late], 0, FOREVER) == [80 * MS]


@pytest.mark.parametrize("n", [0, 99, 100])
def test_p99_needs_a_hundred(n: int) -> None:
    assert (percentiles([1] * n).p99 is None) == (n < 100)
