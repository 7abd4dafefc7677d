"""What is concluded from records, held against generated outages and impairments of which everything is known."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from probes.convergence import episode_span, loss_of_connectivity, staggered
from probes.episodes import flow_loss
from probes.flows import ANSWERED, CORRUPT, LATE, LOST, NOT_SENT
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
    truth=truths(whole=True),
    cut=st.integers(0, 10**9),
    length=st.integers(1, 10**10),
    flows=st.integers(1, 40),
)
def test_staggered_flows_tell_one_outage_to_a_share_of_the_interval(
    truth: Truth, cut: int, length: int, flows: int
) -> None:
    step = -(-truth.interval_ns // flows) * flows
    start, length = step + cut % step, 1 + length % (20 * step)
    losses = []
    for n in range(flows):
        one = Truth(step, n * step // flows, 40, ((start, start + length),)).trace(n)
        losses.append(flow_loss(one.due, one.state, step))
    span = staggered(losses)
    assert span is not None
    assert not span.censored
    assert span.low_ns <= length <= (span.high_ns or 0)
    assert abs(span.ns - length) <= step / flows
    assert staggered([]) is None


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
