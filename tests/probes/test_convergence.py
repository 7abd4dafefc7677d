"""Convergence and failover times contain the true one within the accuracy that is told with them, and say when they cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.convergence import (
    SUSTAINED_NS,
    FullConvergence,
    Span,
    failover,
    full_convergence,
    path_marks,
    route_specific,
    switch_span,
)
from probes.flows import ANSWERED, LOST, NOT_SENT, FlowTrace
from tests.probes.truth import Truth, patient

STEP = 10_000_000
COUNT = 200
intervals = st.integers(2, 1_000_000_000)
shares = st.floats(0, 1, exclude_max=True)


def switched(
    step: int, phase: int, start: int, end: int, event: int, count: int = COUNT, ttl: tuple[int, int] = (60, 59)
) -> FlowTrace:
    """A flow that was answered by the old path until `start`, by none until `end`, and by the new one from then on."""
    trace = Truth(step, phase, count, ((start, end),) if end > start else ()).trace()
    backup = trace.due >= end
    answered = trace.state == ANSWERED
    assert event <= end
    return replace(trace, ttl=np.where(answered, np.where(backup, ttl[1], ttl[0]), 0).astype(np.uint8))


@patient
@given(interval=intervals, phase=shares, event=shares, took=shares, lost=shares)
def test_a_drain_is_timed_on_the_new_path_whatever_was_lost(
    interval: int, phase: float, event: float, took: float, lost: float
) -> None:
    event_ns = int(event * 50 * interval) + 20 * interval
    end = event_ns + int(took * 100 * interval)
    trace = switched(interval, int(phase * interval), event_ns + int(lost * (end - event_ns)), end, event_ns)
    span = route_specific(trace.due, trace.state, trace.ttl == 59, event_ns, interval)
    assert span.high_ns is not None
    assert span.low_ns <= end - event_ns <= span.high_ns
    assert abs(span.ns - (end - event_ns)) <= interval


@patient
@given(unsent=st.sets(st.integers(0, COUNT - 2)), took=st.integers(0, 60 * STEP))
def test_probes_never_sent_widen_what_is_left_open(unsent: set[int], took: int) -> None:
    event = 50 * STEP
    trace = switched(STEP, 3, event, event + took, event)
    trace.state[list(unsent)] = NOT_SENT
    span = route_specific(trace.due, trace.state, trace.ttl == 59, event, STEP)
    assert span.high_ns is not None
    assert span.low_ns <= took <= span.high_ns


def test_a_new_path_that_was_never_taken_to_the_end_is_censored() -> None:
    trace = switched(STEP, 0, 0, 0, 0)
    never = np.zeros(COUNT, bool)
    assert route_specific(trace.due, trace.state, never, 50 * STEP, STEP).censored
    assert not route_specific(trace.due, trace.state, ~never, 50 * STEP, STEP).censored


def test_what_cannot_be_timed_is_refused() -> None:
    with pytest.raises(ValueError, match="no probe was sent"):
        route_specific([1], [NOT_SENT], [True], 0, STEP)
    with pytest.raises(ValueError, match="2 due times, 1 states and 1 marks"):
        route_specific([1, 2], [0], [True], 0, STEP)
    with pytest.raises(ValueError, match="shorter than"):
        full_convergence([([1], [0])], 0, 1, STEP, STEP - 1)
    assert full_convergence([], 0, 1, STEP, STEP) is None


@patient
@given(
    interval=intervals,
    samples=st.integers(1, 4),
    phases=st.lists(shares, min_size=1, max_size=8),
    lengths=st.lists(shares, min_size=8, max_size=8),
    event=shares,
)
def test_full_convergence_contains_the_end_of_the_last_outage(
    interval: int, samples: int, phases: list[float], lengths: list[float], event: float
) -> None:
    event_ns = int(event * 20 * interval)
    flows, ends = [], []
    for phase, length in zip(phases, lengths, strict=False):
        end = event_ns + int(length * 100 * interval)
        trace = Truth(interval, int(phase * interval), COUNT, ((event_ns, end),)).trace()
        flows.append((trace.due, trace.state))
        if np.any(trace.state == LOST):
            ends.append(end)
    found = full_convergence(flows, event_ns, COUNT * interval, interval, samples * interval)
    assert found is not None
    assert found.time.high_ns is not None
    truth = max(ends, default=event_ns) - event_ns
    assert found.time.low_ns <= truth <= found.time.high_ns
    if ends:
        assert found.time.high_ns - found.time.ns == interval + -(-interval // len(flows))
        assert found.time.ns - found.time.low_ns <= 2 * found.sampling_ns
    else:
        assert found.time.ns == 0


@patient
@given(start=st.integers(60, COUNT - 1))
def test_loss_to_the_end_never_converged(start: int) -> None:
    trace = Truth(STEP, 0, COUNT, ((start * STEP, 2 * COUNT * STEP),)).trace()
    found = full_convergence([(trace.due, trace.state)], 50 * STEP, COUNT * STEP, STEP, STEP)
    assert found is not None
    assert found.time.censored
    assert not found.sustained


@pytest.mark.parametrize(("quiet_ns", "sustained"), [(SUSTAINED_NS - STEP, False), (SUSTAINED_NS + STEP, True)])
def test_it_is_sustained_only_after_five_quiet_seconds(quiet_ns: int, sustained: bool) -> None:
    count = 60 + quiet_ns // STEP
    trace = Truth(STEP, 0, count, ((50 * STEP, 60 * STEP),)).trace()
    found = full_convergence([(trace.due, trace.state)], 50 * STEP, count * STEP, STEP, STEP)
    assert found == FullConvergence(Span(11 * STEP, 9 * STEP, 13 * STEP), STEP, sustained)


@pytest.mark.parametrize(("after", "sustained"), [(4, False), (5, True)])
def test_it_is_sustained_only_after_five_probes_of_every_flow(after: int, sustained: bool) -> None:
    slow = 2_000_000_000
    trace = Truth(slow, 0, 10 + after, ((5 * slow, 10 * slow),)).trace()
    found = full_convergence([(trace.due, trace.state)], 5 * slow, (10 + after) * slow, slow, slow)
    assert found is not None
    assert found.sustained is sustained


@patient
@given(interval=intervals, phase=shares, start=shares, length=shares)
def test_time_stamps_bound_a_failover_from_above_by_two_intervals_at_most(
    interval: int, phase: float, start: float, length: float
) -> None:
    event = 50 * interval
    begin = event + int(start * 10 * interval)
    end = begin + int(length * 100 * interval)
    trace = switched(interval, int(phase * interval), begin, end, event)
    marks = path_marks(trace, event, COUNT * interval)
    assert marks is not None
    span = switch_span(trace.due, marks, event, interval)
    assert span is not None
    assert span.low_ns <= end - begin <= span.ns == span.high_ns
    assert span.ns <= end - begin + 2 * interval


def test_a_path_that_looks_like_the_old_one_tells_no_failover() -> None:
    assert path_marks(switched(STEP, 0, 60 * STEP, 80 * STEP, 50 * STEP, ttl=(60, 60)), 50 * STEP, COUNT * STEP) is None


def test_a_path_not_held_for_five_answers_is_no_backup_yet() -> None:
    for held, told in ((4, False), (5, True)):
        trace = switched(STEP, 0, 60 * STEP, 80 * STEP, 50 * STEP)
        assert (path_marks(trace, 50 * STEP, (80 + held) * STEP) is not None) is told


def test_nothing_answered_before_or_after_tells_no_failover() -> None:
    trace = switched(STEP, 0, 60 * STEP, 80 * STEP, 50 * STEP)
    assert path_marks(trace, 0, COUNT * STEP) is None
    dead = switched(STEP, 0, 60 * STEP, 2 * COUNT * STEP, 50 * STEP)
    assert path_marks(dead, 70 * STEP, COUNT * STEP) is None


def test_failover_is_the_longest_of_at_least_16_flows() -> None:
    spans = [Span(n * STEP, (n - 2) * STEP, n * STEP) for n in range(2, 18)]
    assert failover(spans).time == Span(17 * STEP, 15 * STEP, 17 * STEP)
    refused = failover([*spans[1:], None])
    assert refused.time is None
    assert "from 16 flows on" in refused.reason
    assert refused.flows == 15
