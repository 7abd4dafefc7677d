"""New-connection failures against outages whose truth is known, whole ones and such as only a share of attempts meets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.attempts import count_attempts
from probes.failing import APART_NS
from probes.flows import ANSWERED, LATE, LOST, NOT_SENT, REFUSED, RESET

MS = 1_000_000
STEP = 10 * MS
FAILED = [LOST, REFUSED, RESET, LATE]


def schedule(count: int, phase: int = 0) -> np.ndarray:
    return phase + STEP * np.arange(count, dtype=np.int64)


@given(
    phase=st.integers(0, STEP - 1),
    start=st.integers(0, 4_000 * MS),
    length=st.integers(STEP, 3_000 * MS),
    how=st.sampled_from(FAILED),
)
def test_an_outage_that_all_attempts_meet_is_measured_within_one_interval(
    phase: int, start: int, length: int, how: int
) -> None:
    due = schedule(1000, phase)
    down = (due >= start) & (due < start + length)
    found = count_attempts(due, np.where(down, how, ANSWERED), np.ones(1000), STEP)
    assert abs(found.new_fail_ns - length) <= STEP
    assert not found.censored
    assert found.failed == np.count_nonzero(down)
    assert found.attempts == 1000 == found.accepted + found.failed


@given(share=st.integers(2, 12), start=st.integers(0, 300), length=st.integers(60, 400))
def test_an_outage_that_every_nth_attempt_meets_is_measured_within_n_intervals(
    share: int, start: int, length: int
) -> None:
    number = np.arange(1000)
    down = (number >= start) & (number < start + length) & (number % share == 0)
    found = count_attempts(schedule(1000), np.where(down, LOST, ANSWERED), np.ones(1000), STEP)
    assert len(found.periods) == 1
    assert (length - 2 * share) * STEP < found.new_fail_ns <= (length + 1) * STEP
    assert not found.censored


@given(st.lists(st.sampled_from([ANSWERED, ANSWERED, LOST, REFUSED, RESET, LATE, NOT_SENT]), max_size=400))
def test_periods_hold_every_failed_attempt_and_are_apart(states: list[int]) -> None:
    due = schedule(len(states))
    found = count_attempts(due, states, np.zeros(len(states)), STEP)
    failed = [int(d) for d, s in zip(due, states, strict=True) if s not in (ANSWERED, NOT_SENT)]
    assert sum(p.failed for p in found.periods) == len(failed) == found.failed
    assert found.attempts == sum(1 for s in states if s != NOT_SENT)
    for before, after in itertools.pairwise(found.periods):
        assert after.start_ns - max(f for f in failed if f < after.start_ns) >= APART_NS
        assert after.start_ns > before.start_ns + before.length_ns
    for moment in failed:
        assert any(p.start_ns <= moment < p.start_ns + p.length_ns for p in found.periods)


def test_what_still_fails_at_the_end_is_censored() -> None:
    states = np.full(300, ANSWERED)
    states[250:] = LOST
    found = count_attempts(schedule(300), states, np.zeros(300), STEP)
    assert (found.new_fail_ns, found.censored) == (50 * STEP, True)
    states[299] = ANSWERED
    assert not count_attempts(schedule(300), states, np.zeros(300), STEP).censored


def test_a_share_that_still_fails_at_the_end_is_censored_though_the_last_attempt_succeeded() -> None:
    states = np.full(300, ANSWERED)
    states[100::7] = LOST
    assert states[-1] == ANSWERED
    assert count_attempts(schedule(300), states, np.zeros(300), STEP).censored


def test_two_outages_far_apart_are_two_periods() -> None:
    states = np.full(400, ANSWERED)
    states[10:20] = REFUSED
    states[150:155] = RESET
    found = count_attempts(schedule(400), states, np.zeros(400), STEP)
    assert [(p.start_ns, p.length_ns) for p in found.periods] == [(10 * STEP, 10 * STEP), (150 * STEP, 5 * STEP)]
    assert (found.refused, found.reset, found.silent) == (10, 5, 0)
    assert found.new_fail_ns == 10 * STEP


def test_time_to_accept_is_that_of_accepted_attempts_alone() -> None:
    states = np.array([ANSWERED, REFUSED, ANSWERED, LOST, ANSWERED])
    found = count_attempts(schedule(5), states, np.array([3, 99, 1, 0, 2]) * MS, STEP)
    assert found.accept_ns == (MS, 2 * MS, 3 * MS)
    assert found.accept_percentile_ns(0.5) == 2 * MS
    assert found.accept_percentile_ns(1.0) == 3 * MS
    nothing = count_attempts([], [], [], STEP)
    assert (nothing.attempts, nothing.new_fail_ns, nothing.censored) == (0, 0, False)
    assert nothing.accept_percentile_ns(0.5) is None


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 due times, 1 states"):
        count_attempts([0, 1], [0], [0, 0], STEP)
