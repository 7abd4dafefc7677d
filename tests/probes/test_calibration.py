"""Errors against truth: an instrument that is right is found right at any phase and lateness, one that is wrong is found wrong."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.calibration import GAP_NS, Hole, Planned, compare, plan_holes, staggering_ns
from probes.flows import ANSWERED, LOST, NOT_SENT, FlowTrace
from probes.packets import ProbeFlow, plan_flows

MS = 1_000_000
INTERVAL = 10 * MS
ANSWER_NS = 50_000

intervals = st.sampled_from([MS, 10 * MS, 50 * MS])
seeds = st.integers(0, 2**32)


def planned(flows: int, interval: int = INTERVAL) -> tuple[ProbeFlow, ...]:
    return plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, flows, interval, most_phases=20, least_step_ns=1)


def trace(flow: ProbeFlow, plan: tuple[Planned, ...], late: np.ndarray | int = 0) -> FlowTrace:
    """What a flow would record of holes that are exactly as planned: a probe that leaves while the gate is closed is lost."""
    end = plan[-1].open_ns + 500 * MS
    due = np.arange(flow.phase_ns, end, flow.interval_ns, dtype=np.int64)
    left = np.maximum.accumulate(due + (late if isinstance(late, int) else late[: len(due)]))
    lost = np.zeros(len(due), np.bool_)
    for hole in plan:
        lost |= (left >= hole.close_ns) & (left < hole.open_ns)
    return FlowTrace(
        flow=flow,
        seq=np.arange(len(due)),
        due=due,
        tx=left,
        rx=np.where(lost, 0, left + ANSWER_NS),
        sent=left,
        backend=np.zeros(len(due), np.uint8),
        state=np.where(lost, LOST, ANSWERED).astype(np.uint8),
        unstamped=np.zeros(len(due), np.bool_),
    )


def truths(plan: tuple[Planned, ...], traces: list[FlowTrace]) -> list[Hole]:
    return [
        Hole(
            hole.close_ns,
            hole.open_ns,
            0,
            sum(int(np.count_nonzero((t.tx >= hole.close_ns) & (t.tx < hole.open_ns))) for t in traces),
        )
        for hole in plan
    ]


@given(count=st.integers(1, 80), interval=intervals, seed=seeds, start=st.integers(0, 10**15))
def test_holes_come_one_after_another_with_evenly_spread_rests(
    count: int, interval: int, seed: int, start: int
) -> None:
    plan = plan_holes(count, 5 * MS, 2000 * MS, interval, start, Random(seed))
    assert len(plan) == count
    assert plan[0].close_ns >= start + GAP_NS
    assert all(b.close_ns - a.open_ns >= GAP_NS for a, b in pairwise(plan))
    assert all(5 * MS <= hole.length_ns <= 2000 * MS + interval for hole in plan)
    rests = sorted(hole.length_ns % interval / interval for hole in plan)
    # a nanosecond of rounding may carry a rest over the edge of its place, or of the interval
    assert all(abs(rest - (n + 0.5) / count) <= 0.5 / count + 2e-6 for n, rest in enumerate(rests)) or rests[0] < 1e-6


def test_lengths_are_spread_by_logarithm() -> None:
    lengths = sorted(h.length_ns for h in plan_holes(60, 5 * MS, 2000 * MS, MS, 0, Random(1)))
    assert lengths[29] == pytest.approx(96 * MS, rel=0.1)  # the middle of 5 and 2,000 by logarithm is 100
    assert lengths[-1] == pytest.approx(2000 * MS, rel=0.01)
    assert [h.length_ns for h in plan_holes(60, 5 * MS, 2000 * MS, MS, 0, Random(1))] != lengths, "the order is random"


@pytest.mark.parametrize(("count", "shortest", "longest"), [(0, 1, 2), (5, 0, 2), (5, 3, 2)])
def test_holes_that_cannot_be_are_refused(count: int, shortest: int, longest: int) -> None:
    with pytest.raises(ValueError, match="of a positive length"):
        plan_holes(count, shortest, longest, MS, 0, Random(0))


@given(count=st.integers(1, 12), flows=st.integers(1, 45), interval=intervals, seed=seeds)
def test_a_punctual_instrument_is_off_by_less_than_an_interval_and_all_flows_by_their_staggering(
    count: int, flows: int, interval: int, seed: int
) -> None:
    plan = plan_holes(count, 5 * MS, 500 * MS, interval, 0, Random(seed))
    traces = [trace(flow, plan) for flow in planned(flows, interval)]
    found = compare(traces, truths(plan, traces))
    assert found.worst_ns < interval
    assert found.worst_aggregate_ns <= staggering_ns(planned(flows, interval)) + 1
    assert found.unexplained == found.not_sent == 0
    # by as much as answers take a probe may have come to the gate after it left, for all we know
    assert found.lateness_ns.max() <= ANSWER_NS


@given(seed=seeds, most=st.integers(0, 5 * INTERVAL), flows=st.integers(1, 5))
def test_lateness_explains_what_is_more_than_an_interval(seed: int, most: int, flows: int) -> None:
    plan = plan_holes(6, 5 * MS, 300 * MS, INTERVAL, 0, Random(seed))
    dice = np.random.default_rng(seed)
    traces = [trace(flow, plan, dice.integers(0, most + 1, 1000)) for flow in planned(flows)]
    found = compare(traces, truths(plan, traces))
    assert found.beyond_lateness_ns <= INTERVAL
    assert found.unexplained == 0
    seen = found.together_ns != -found.truth_ns
    told = 2 * np.abs(found.together_ns) <= found.between_ns + 1
    assert np.all(told[seen]), "together they know when they left"


def test_the_mean_error_of_evenly_spread_rests_is_a_third_of_an_interval() -> None:
    plan = plan_holes(60, 5 * MS, 2000 * MS, INTERVAL, 0, Random(3))
    traces = [trace(flow, plan) for flow in planned(20)]
    found = compare(traces, truths(plan, traces))
    assert found.mean_ns / INTERVAL == pytest.approx(1 / 3, abs=0.01)
    assert abs(found.bias_ns) < INTERVAL / 50


@pytest.mark.parametrize("shift", [-2 * INTERVAL, 2 * INTERVAL])
def test_an_instrument_that_says_too_much_or_too_little_is_found_out(shift: int) -> None:
    plan = plan_holes(10, 50 * MS, 500 * MS, INTERVAL, 0, Random(4))
    traces = [trace(flow, plan) for flow in planned(20)]
    shifted = [dataclasses.replace(hole, opened_ns=hole.opened_ns + shift) for hole in truths(plan, traces)]
    found = compare(traces, shifted)
    assert found.beyond_lateness_ns > INTERVAL
    assert found.bias_ns == pytest.approx(-shift, abs=INTERVAL / 10)
    assert found.worst_aggregate_ns > INTERVAL


def test_a_loss_that_was_nobodys_hole_and_a_drop_that_nobody_missed_are_unexplained() -> None:
    plan = plan_holes(3, 50 * MS, 100 * MS, INTERVAL, 0, Random(5))
    traces = [trace(flow, plan) for flow in planned(2)]
    holes = truths(plan, traces)
    assert compare(traces, holes).unexplained == 0
    before = int(np.flatnonzero(traces[0].state == LOST)[0]) - 5
    traces[0].state[before] = LOST
    assert compare(traces, holes).unexplained == 1
    traces[0].state[before] = NOT_SENT
    assert (compare(traces, holes).unexplained, compare(traces, holes).not_sent) == (0, 1)
    traces[0].state[np.flatnonzero(traces[0].state == LOST)[-1]] = ANSWERED
    assert compare(traces, holes).unexplained == 1


@given(flows=st.integers(1, 300), interval=intervals)
def test_staggering_is_an_interval_over_the_phases_and_never_finer(flows: int, interval: int) -> None:
    found = staggering_ns(planned(flows, interval))
    assert found >= interval / min(flows, 20) * 0.999
    if flows >= 25:
        assert found <= interval / 10, "phases are fine enough for a tenth of an interval"


def test_what_cannot_be_compared_is_refused() -> None:
    plan = plan_holes(2, 50 * MS, 100 * MS, INTERVAL, 0, Random(6))
    one = trace(planned(1)[0], plan)
    other = trace(planned(1, MS)[0], plan)
    holes = truths(plan, [one])
    for traces, given_holes, reason in (
        ([], holes, "nothing to compare"),
        ([one], [], "nothing to compare"),
        ([one, other], holes, "2 intervals"),
        ([one], holes[::-1], "overlap"),
    ):
        with pytest.raises(ValueError, match=reason):
            compare(traces, given_holes)
    with pytest.raises(ValueError, match="no common staggering"):
        staggering_ns([one.flow, other.flow])
