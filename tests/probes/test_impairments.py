"""Impaired packets: what counts as which, and what does not count at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.flows import REFUSED, RESET
from probes.impairments import Impairments, impairments, reordered
from probes.packets import plan_flows
from tests.probes.truth import Truth, patient


@patient
@given(arrivals=st.permutations(range(12)), lost=st.sets(st.integers(0, 11)))
def test_a_probe_is_reordered_when_a_later_one_was_answered_before_it(arrivals: list[int], lost: set[int]) -> None:
    rx = np.zeros(12, np.int64)
    for at, seq in enumerate(arrivals):
        rx[seq] = 100 + at
    found = reordered(range(12), rx, [n not in lost for n in range(12)])
    for n in range(12):
        earlier = [m for m in range(n + 1, 12) if m not in lost and rx[m] < rx[n]]
        assert found[n] == (n not in lost and bool(earlier))


def test_answers_in_order_or_at_the_same_time_are_not_reordered() -> None:
    assert not reordered([5, 6, 7], [1, 2, 3], [True] * 3).any()
    assert not reordered([5, 6, 7], [1, 1, 1], [True] * 3).any()


def test_a_gap_of_lost_probes_reorders_nothing() -> None:
    assert not reordered([1, 2, 3, 4], [10, 0, 0, 11], [True, False, False, True]).any()


def test_one_overtaken_probe_is_one_reordered_probe_however_many_overtook_it() -> None:
    assert reordered([1, 2, 3, 4], [9, 3, 4, 5], [True] * 4).tolist() == [True, False, False, False]


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 sequence numbers, 3 stamps and 2 arrivals"):
        reordered([1, 2], [1, 2, 3], [True, True])


def test_a_quiet_flow_has_no_impaired_probe_and_each_sort_is_seen() -> None:
    quiet = Truth(1000, 0, 20, ())
    assert impairments(quiet.trace(), 0, 20_000) == Impairments()
    noisy = replace(
        quiet,
        outages=((3_000, 5_000),),
        late=frozenset({7}),
        corrupt=frozenset({9, 10}),
        duplicate=frozenset({12, 13, 14}),
        delays={16: 2_500},
    )
    # the late one comes after all that follow it, the delayed one after two
    assert impairments(noisy.trace(), 0, 20_000) == Impairments(2, 1, 2, 3, 2)
    assert impairments(noisy.trace(), 0, 3_000) == Impairments()


def test_a_refusal_is_a_loss_and_overtakes_nobody() -> None:
    trace = Truth(1000, 0, 6, ()).trace()
    trace.state[2:4] = REFUSED, RESET
    trace.rx[2:4] = 1, 2
    assert impairments(trace, 0, 6_000) == Impairments(lost=2)


def test_syns_have_no_order_to_keep() -> None:
    trace = Truth(1000, 0, 6, (), delays={1: 3_000}).trace()
    (tcp,) = plan_flows("us", "10.0.0.1", "web", "203.0.113.10", 80, 1, 1000, transport="tcp", ports=9)
    assert impairments(trace, 0, 6_000).reordered == 1
    assert impairments(replace(trace, flow=tcp), 0, 6_000).reordered == 0


def test_a_trace_that_does_not_tell_duplicates_has_none() -> None:
    trace = Truth(1000, 0, 6, (), duplicate=frozenset({1})).trace()
    assert impairments(trace, 0, 6_000).duplicate == 1
    assert impairments(replace(trace, duplicate=None), 0, 6_000).duplicate == 0
