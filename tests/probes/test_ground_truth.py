"""What is concluded from records, held against generated outages and impairments of which everything is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.convergence import Span, common_outage, episode_span, loss_of_connectivity
from probes.episodes import flow_loss
from probes.flows import ANSWERED, CORRUPT, LATE, LOST, NOT_SENT, FlowTrace
from probes.impairments import Impairments, impairments, total
from tests.probes.truth import Truth, outages, patient, truths


@patient
@given(truth=truths())
def test_episodes_are_the_periods_of_loss_none_merged_and_none_split(truth: Truth) -> None:
    trace = truth.trace()
    found = flow_loss(trace.due, trace.state, truth.interval_ns)
    periods = [numbers for numbers, _ in truth.periods()]
    assert [(e.start_ns, e.lost) for e in found.episodes] == [(truth.due(n[0]), len(n)) for n in periods]
    for episode, numbers in zip(found.episodes, periods, strict=True):
        after = next((n for n in range(numbers[-1], truth.count) if truth.state(n) == ANSWERED), None)
        assert episode.end_ns == (None if after is None else truth.due(after))
        assert episode.censored == (after is None)


@patient
@given(truth=truths())
def test_counts_are_exact_and_sums_reconcile(truth: Truth) -> None:
    trace = truth.trace()
    found = flow_loss(trace.due, trace.state, truth.interval_ns)
    states = [truth.state(n) for n in range(truth.count)]
    told = impairments(trace, 0, truth.due(truth.count))
    assert (told.lost, told.late, told.corrupt) == (states.count(LOST), states.count(LATE), states.count(CORRUPT))
    assert told.duplicate == sum(1 for n in truth.duplicate if truth.answer_ns(n))
    assert found.lost == told.lost + told.late + told.corrupt == sum(e.lost for e in found.episodes)
    assert found.not_sent == states.count(NOT_SENT)
    assert states.count(ANSWERED) + found.lost + found.not_sent == truth.count
    came = sorted((truth.answer_ns(n), n) for n in range(truth.count) if truth.answer_ns(n))
    overtaken = [n for at, (_, n) in enumerate(came) if any(other > n for _, other in came[:at])]
    assert told.reordered == len(overtaken)


@patient
@given(truth=truths(), data=st.data())
def test_parts_of_a_window_add_up_to_the_whole(truth: Truth, data: st.DataObject) -> None:
    trace, end = truth.trace(), truth.due(truth.count)
    cuts = sorted(data.draw(st.lists(st.integers(0, end), max_size=3)))
    edges = [0, *cuts, end]
    parts = [impairments(trace, a, b) for a, b in pairwise(edges)]
    assert total(parts) == impairments(trace, 0, end)
    assert total([]) == Impairments()


@patient
@given(truth=truths(whole=True))
def test_one_outage_lies_within_an_interval_of_its_lost_probes(truth: Truth) -> None:
    trace = truth.trace()
    found = flow_loss(trace.due, trace.state, truth.interval_ns)
    for episode, (_, behind) in zip(found.episodes, truth.periods(), strict=True):
        span = episode_span(episode, truth.interval_ns)
        length = behind[-1][1] - behind[0][0]
        assert span.low_ns < length
        assert span.high_ns is None or length < span.high_ns
        assert span.censored == episode.censored


@patient
@given(truth=truths())
def test_the_sum_of_all_outages_lies_within_what_the_accuracy_leaves_open(truth: Truth) -> None:
    trace = truth.trace()
    found = flow_loss(trace.due, trace.state, truth.interval_ns)
    span = loss_of_connectivity(found)
    # only outages that probes fell into can be seen, and what lies between two lost probes counts as lost
    lost = sum(behind[-1][1] - behind[0][0] for _, behind in truth.periods())
    known = [truth.state(n) for n in range(truth.count) if n not in truth.unsent]
    assert span.ns == found.black_hole_ns
    assert span.low_ns <= lost
    assert span.censored == (known[-1:] not in ([], [ANSWERED]))
    assert span.high_ns is None or lost <= span.high_ns


@patient
@given(
    interval=st.integers(1_000, 10**8),
    start=st.integers(0, 10**9),
    length=st.integers(1, 10**10),
    flows=st.integers(1, 40),
    late=st.lists(st.integers(0, 10**8), min_size=1, max_size=30),
)
def test_flows_together_tell_one_outage_to_what_lies_between_departures(
    interval: int, start: int, length: int, flows: int, late: list[int]
) -> None:
    """Whatever the lateness: it widens what is left open and makes no error beyond that."""
    step = -(-interval // flows) * flows
    start, length = 10 * step + start % step, 1 + length % (20 * step)
    traces = [_late(Truth(step, n * step // flows, 60, ()).trace(n), late, start, start + length) for n in range(flows)]
    span = common_outage([(trace.left_ns(), trace.state) for trace in traces])
    if span is None:
        return  # no probe left meanwhile
    assert span.low_ns <= length <= (span.high_ns if span.high_ns is not None else length)
    if span.high_ns is not None:
        assert abs(span.ns - length) <= (span.high_ns - span.low_ns + 1) / 2
    if not any(late):
        assert span.high_ns is not None
        assert abs(span.ns - length) <= step / flows


def _late(trace: FlowTrace, late: list[int], start: int, end: int) -> FlowTrace:
    """The same with departures late by these in turn, never before an earlier one, and lost where they fall into the outage."""
    left = np.maximum.accumulate(trace.due + np.array([late[n % len(late)] for n in range(len(trace.due))]))
    cut = (left >= start) & (left < end)
    return replace(trace, tx=left, sent=left, state=np.where(cut, LOST, ANSWERED).astype(np.uint8))


def test_an_outage_of_all_flows_that_has_no_end_is_censored_and_none_is_none() -> None:
    trace = Truth(1000, 0, 40, ()).trace(0)
    assert common_outage([]) is None
    left = trace.left_ns()
    assert common_outage([(left, trace.state)]) is None
    states = trace.state.copy()
    states[10:] = LOST
    span = common_outage([(left, states)])
    assert span is not None
    assert span.censored
    assert span.low_ns == 29_000
    states[:] = LOST
    assert common_outage([(left, states)]) == Span(39_000, 39_000, None)
    states[20:] = ANSWERED
    assert common_outage([(left, states)]) == Span(19_000, 19_000, None), "who knows since when"


@patient
@given(each=st.lists(outages(40_000), min_size=2, max_size=6))
def test_each_flow_keeps_its_own_outages(each: list[tuple[tuple[int, int], ...]]) -> None:
    """Overlapping outages of several flows, each with edges of its own: what one flow lost is never told of another."""
    for n, cut in enumerate(each):
        truth = Truth(1000, n * 1000 // len(each), 40, cut)
        trace = truth.trace(n)
        found = flow_loss(trace.due, trace.state, 1000)
        assert found.lost == sum(truth.cut(seq) for seq in range(40))
        assert len(found.episodes) == len(list(truth.periods()))
