"""`request_fail` of traces whose truth is known, its low and high ends, and what never moves it the wrong way."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.requests import Outcome, RequestSeries, RequestTrace, failing
from probes.requests.stretches import failed_by
from probes.requests.trace import IN_TIME_NS, KEPT_OPEN_NS

MS = 1_000_000
STEP = 50 * MS
WEB = RequestSeries(0, "us-client", "web", "10.0.0.2", "203.0.113.10", 80, "web.test")
FAILED = [o for o in Outcome if o not in (Outcome.OK, Outcome.LATE, Outcome.UNDER_WAY, Outcome.NOT_SENT)]

outcomes = st.lists(st.sampled_from([Outcome.OK] * 8 + list(Outcome)), max_size=120)


def trace(states: list[Outcome], took_ns: list[int] | None = None) -> RequestTrace:
    """Requests every 50 ms from 0 on; LATE ones took 2.1 s, others 3 ms, unless told."""
    count = len(states)
    due = STEP * np.arange(count, dtype=np.int64)
    took = np.array(took_ns or [2100 * MS if s == Outcome.LATE else 3 * MS for s in states], np.int64).reshape(count)
    sent = np.where(np.array(states, np.uint8) == Outcome.NOT_SENT, 0, due + MS)
    none = np.zeros(count, np.int64)
    return RequestTrace(
        series=WEB,
        seq=np.arange(count, dtype=np.int64),
        due=due,
        sent=sent,
        connected=none,
        handshaken=none,
        first_byte=none,
        done=due + took,
        sport=none.astype(np.uint16),
        status=none.astype(np.uint16),
        backend=none.astype(np.uint8),
        outcome=np.array(states, np.uint8),
    )


@given(st.lists(st.sampled_from(FAILED), min_size=1, max_size=60))
def test_it_is_from_the_first_failed_request_to_the_next_good_one(how: list[Outcome]) -> None:
    found = failing(trace([*[Outcome.OK] * 20, *how, *[Outcome.OK] * 20]))
    assert (found.request_fail_ns, found.ended) == (len(how) * STEP, True)
    assert found.range_ns == (found.request_fail_ns, found.request_fail_ns)
    assert (found.requests, found.failed) == (40 + len(how), len(how))


def test_one_whose_next_good_request_lies_outside_the_window_has_not_ended() -> None:
    some = trace([*[Outcome.OK] * 20, *[Outcome.SILENT] * 10, *[Outcome.OK] * 20])
    assert failing(some).ended
    cut = failing(some, 0, 30 * STEP)
    assert (cut.request_fail_ns, cut.ended, cut.requests) == (10 * STEP, False, 30)
    assert failing(some, 30 * STEP, 50 * STEP).request_fail_ns == 0


def test_requests_never_sent_are_in_no_stretch_and_in_no_count() -> None:
    found = failing(trace([Outcome.OK, *[Outcome.NOT_SENT] * 10, Outcome.OK, Outcome.UNDER_WAY]))
    assert (found.requests, found.failed, found.request_fail_ns, found.ended) == (2, 0, 0, True)


def test_what_straddles_two_seconds_widens_the_figure_on_its_own_side_alone() -> None:
    states = [Outcome.OK, Outcome.LATE, Outcome.SILENT, Outcome.OK, Outcome.OK]
    took = [MS, IN_TIME_NS + 10 * MS, 2200 * MS, IN_TIME_NS - 10 * MS, MS]
    found = failing(trace(states, took), straddle_ns=20 * MS)
    assert found.request_fail_ns == 2 * STEP
    assert found.range_ns == (STEP, 3 * STEP)
    assert failing(trace(states, took), straddle_ns=5 * MS).range_ns == (2 * STEP, 2 * STEP)
    assert failing(trace(states, took), straddle_ns=KEPT_OPEN_NS).failed == 2


def test_a_wrong_answer_is_not_mended_by_any_width() -> None:
    states = [Outcome.OK, Outcome.WRONG_STATUS, Outcome.NO_IDENTITY, Outcome.OK]
    assert failing(trace(states), straddle_ns=KEPT_OPEN_NS).range_ns == (2 * STEP, 2 * STEP)


@given(outcomes, st.lists(st.integers(0, 2200 * MS), min_size=120, max_size=120), st.integers(0, 300 * MS))
def test_the_low_end_is_never_above_the_high_one(states: list[Outcome], took: list[int], straddle: int) -> None:
    found = failing(trace(states, took[: len(states)]), straddle_ns=straddle)
    low, high = found.range_ns
    assert low <= found.request_fail_ns <= high
    wider = failing(trace(states, took[: len(states)]), straddle_ns=straddle + 50 * MS).range_ns
    assert wider[0] <= low
    assert wider[1] >= high


@given(outcomes, st.data())
def test_a_failed_request_in_place_of_an_answered_one_lowers_no_figure(
    states: list[Outcome], data: st.DataObject
) -> None:
    answered = [i for i, s in enumerate(states) if s in (Outcome.OK, Outcome.LATE)]
    chosen = data.draw(st.sets(st.sampled_from(answered))) if answered else set()
    how = data.draw(st.sampled_from(FAILED))
    before = failing(trace(states), straddle_ns=150 * MS)
    after = failing(trace([how if i in chosen else s for i, s in enumerate(states)]), straddle_ns=150 * MS)
    assert after.request_fail_ns >= before.request_fail_ns
    assert after.range_ns[0] >= before.range_ns[0]
    assert after.range_ns[1] >= before.range_ns[1]
    assert after.ended <= before.ended
    assert after.requests == before.requests


@given(outcomes)
def test_every_failed_request_is_told_by_its_way_once(states: list[Outcome]) -> None:
    one = trace(states)
    told = failed_by(one)
    assert sum(told.values()) == failing(one).failed
    assert all(one.count(how) == count for how, count in told.items())
    assert list(told.values()) == sorted(told.values(), reverse=True)


def test_latency_is_of_whole_answers_from_when_they_were_due() -> None:
    one = trace([Outcome.OK, Outcome.SILENT, Outcome.WRONG_STATUS, Outcome.NOT_SENT])
    assert one.latency_ns().tolist() == [3 * MS, 0, 3 * MS, 0]
    assert one.lateness().tolist() == [MS, MS, MS]
