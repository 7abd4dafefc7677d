"""Episodes and black holes: what is said of an outage is true at any phase, never more exact than the probing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.episodes import FlowLoss, black_holes, flow_loss, milliseconds, round_to_interval
from probes.flows import ANSWERED, CORRUPT, LATE, LOST, NOT_SENT

MS = 1_000_000
intervals = st.integers(1, 1_000_000_000)


def loss(*states: int, interval: int = 10 * MS) -> FlowLoss:
    return flow_loss(np.arange(len(states)) * interval, states, interval)


@given(
    interval=intervals,
    phase=st.floats(0, 1, exclude_max=True),
    start=st.integers(0, 10**9),
    length=st.integers(1, 10**10),
)
def test_an_outage_is_bracketed_by_the_lost_probes(interval: int, phase: float, start: int, length: int) -> None:
    start, length = start % (50 * interval), length % (50 * interval)
    due = int(phase * interval) + np.arange(120, dtype=np.int64) * interval
    state = np.where((due >= start) & (due < start + length), LOST, ANSWERED)
    found = flow_loss(due, state, interval)
    assert (found.lost - 1) * interval < length < (found.lost + 1) * interval
    assert abs(found.black_hole_ns - length) < interval
    assert len(found.episodes) == (found.lost > 0)
    assert not found.censored


@given(interval=intervals, count=st.integers(2, 64), phase=st.integers(0, 10**9), length=st.integers(1, 10**10))
def test_staggered_flows_resolve_an_outage_to_about_a_share_of_the_interval(
    interval: int, count: int, phase: int, length: int
) -> None:
    interval += count
    length %= 20 * interval
    start = phase % interval + interval
    flows = []
    for i in range(count):
        due = i * interval // count + np.arange(40, dtype=np.int64) * interval
        flows.append(flow_loss(due, np.where((due >= start) & (due < start + length), LOST, ANSWERED), interval))
    mean = sum(f.black_hole_ns for f in flows) / count
    assert abs(mean - length) <= interval / count + count  # nanoseconds lost in staggering


@given(states=st.lists(st.sampled_from([ANSWERED, LOST, LATE, CORRUPT, NOT_SENT]), max_size=200), interval=intervals)
def test_episodes_account_for_every_lost_probe_once(states: list[int], interval: int) -> None:
    found = loss(*states, interval=interval)
    assert sum(e.lost for e in found.episodes) == found.lost == sum(s in (LOST, LATE, CORRUPT) for s in states)
    assert found.black_hole_ns == found.lost * interval
    assert found.longest_ns == max((e.black_hole_ns for e in found.episodes), default=0)
    assert found.not_sent == states.count(NOT_SENT)
    assert found.probes + found.not_sent == len(states)
    for one, other in zip(found.episodes, found.episodes[1:], strict=False):
        assert one.end_ns is not None
        assert one.start_ns < one.end_ns < other.start_ns


@given(states=st.lists(st.sampled_from([ANSWERED, LOST]), min_size=1, max_size=100))
def test_only_loss_up_to_the_end_of_the_window_is_censored(states: list[int]) -> None:
    found = loss(*states)
    assert found.censored == (states[-1] == LOST)
    assert [e.censored for e in found.episodes[:-1]] == [False] * (len(found.episodes) - bool(found.episodes))
    assert all((e.end_ns is None) == e.censored for e in found.episodes)


def test_an_episode_tells_when_the_first_lost_and_the_next_answered_probe_were_due() -> None:
    found = loss(ANSWERED, LOST, LATE, ANSWERED, CORRUPT, ANSWERED)
    assert [(e.start_ns, e.end_ns, e.lost) for e in found.episodes] == [
        (10 * MS, 30 * MS, 2),
        (40 * MS, 50 * MS, 1),
    ]
    assert found.black_hole_ns == 30 * MS
    assert found.longest_ns == 20 * MS


def test_a_probe_never_sent_is_no_loss_and_ends_no_episode() -> None:
    assert loss(ANSWERED, NOT_SENT, NOT_SENT, ANSWERED).lost == 0
    found = loss(ANSWERED, LOST, NOT_SENT, LOST, ANSWERED)
    assert [e.lost for e in found.episodes] == [2]
    assert found.not_sent == 1


def test_a_window_without_probes_lost_nothing_and_knows_nothing() -> None:
    found = loss()
    assert (found.probes, found.lost, found.episodes, found.censored) == (0, 0, (), False)


def test_due_times_and_states_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="3 due times and 2 states"):
        flow_loss([1, 2, 3], [0, 0], 1)


def test_there_is_no_99th_percentile_of_fewer_than_100_flows() -> None:
    assert black_holes([loss(LOST, ANSWERED)] * 99).p99_ns is None
    assert black_holes([loss(LOST, ANSWERED)] * 100).p99_ns == 10 * MS


@given(lost=st.lists(st.integers(0, 30), min_size=1, max_size=300))
def test_every_figure_is_one_that_a_flow_really_had(lost: list[int]) -> None:
    spread = black_holes([loss(*[LOST] * n, ANSWERED) for n in lost])
    had = {n * 10 * MS for n in lost}
    assert {spread.min_ns, spread.median_ns, spread.max_ns} <= had
    assert spread.min_ns == min(had)
    assert spread.max_ns == max(had)
    assert spread.lost == sum(lost)
    assert (spread.p99_ns is None) == (len(lost) < 100)


def test_no_flows_have_no_figures() -> None:
    assert black_holes([]).max_ns is None
    assert black_holes([]).flows == 0


def test_censored_flows_are_counted() -> None:
    assert black_holes([loss(ANSWERED, LOST), loss(LOST, ANSWERED)]).censored == 1


@given(value=st.integers(0, 10**12), interval=intervals)
def test_rounding_moves_a_figure_by_half_an_interval_at_most(value: int, interval: int) -> None:
    rounded = round_to_interval(value, interval)
    assert rounded % interval == 0
    assert 2 * abs(rounded - value) <= interval


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [(412_345_678, 10 * MS, 410.0), (412_345_678, MS, 412.0), (412_345_678, 100_000, 412.3), (4_999_999, 10 * MS, 0.0)],
)
def test_milliseconds_carry_no_more_digits_than_the_interval(value: int, interval: int, shown: float) -> None:
    assert milliseconds(value, interval) == shown
