"""Confidence bounds hold by the binomial that they are made of, and are refused where the sample is too small."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.bounds import enough_for_bound, none_of, percentile_upper_bound
from probes.episodes import BOUND_NEEDS
from tests.probes.truth import patient


def at_most(n: int, share: Fraction, m: int) -> Fraction:
    """P(binomial (n, share) <= m), exactly."""
    return sum((math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(m + 1)), Fraction(0))


def test_p99_has_a_bound_from_299_values_on() -> None:
    assert enough_for_bound(0.99) == BOUND_NEEDS == 299
    refused = percentile_upper_bound(range(298), 0.99)
    assert refused.value is None
    assert refused.reason == "p99 has an upper bound from 299 values on, and there are 298"
    assert percentile_upper_bound(range(299), 0.99).value == 298


@pytest.mark.parametrize("n", [299, 400, 472, 473, 628, 1000])
def test_the_rank_is_the_smallest_that_is_too_low_in_at_most_5_of_100_samples(n: int) -> None:
    rank = percentile_upper_bound(range(1, n + 1), 0.99).value
    assert rank is not None
    hundredth = Fraction(1, 100)
    assert at_most(n, hundredth, n - rank) <= Fraction(5, 100)
    assert at_most(n, hundredth, n - rank + 1) > Fraction(5, 100)


@patient
@given(values=st.lists(st.integers(0, 10**10), min_size=59, max_size=200))
def test_a_bound_is_a_value_that_was_seen_and_not_below_the_percentile_seen(values: list[int]) -> None:
    bound = percentile_upper_bound(values, 0.95).value
    assert bound in values
    assert bound is not None
    assert bound >= sorted(values)[math.ceil(0.95 * len(values)) - 1]


@patient
@given(n=st.integers(1, 10**6))
def test_none_of_n_bounds_the_share_at_about_3_of_n(n: int) -> None:
    share = none_of(n)
    assert share is not None
    assert math.isclose((1 - share) ** n, 0.05, rel_tol=1e-6)
    assert share <= 3 / n


def test_none_of_none_bounds_nothing() -> None:
    assert none_of(0) is None
    with pytest.raises(ValueError, match="fewer than none"):
        none_of(-1)


@pytest.mark.parametrize(("share", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.99, 1.0), (0.99, 0.0)])
def test_shares_and_confidences_are_real_ones(share: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        enough_for_bound(share, confidence)
