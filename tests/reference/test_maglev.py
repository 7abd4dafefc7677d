"""What must hold of the Maglev table: even, stable, the same everywhere."""

from __future__ import annotations

import zlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4.maglev import NOBODY, RING_SIZE, fill

from tests.reference.conftest import ROOT

names = st.lists(st.text("abcdef0123456789-", min_size=1, max_size=8), min_size=1, max_size=12, unique=True)


def owners(weights: dict[str, int]) -> list[str]:
    order, ring = fill(weights)
    return [order[index] for index in ring]


@settings(max_examples=15, deadline=None)
@given(names)
def test_every_slot_is_owned_and_shares_are_even_to_one_percent(backends: list[str]) -> None:
    shares = Counter(owners(dict.fromkeys(backends, 1)))
    assert set(shares) == set(backends)
    assert max(shares.values()) <= 1.01 * RING_SIZE / len(backends)


@settings(max_examples=10, deadline=None)
@given(names, st.randoms())
def test_the_order_in_which_backends_are_named_does_not_matter(backends: list[str], random: object) -> None:
    shuffled = list(backends)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fill(dict.fromkeys(backends, 1)) == fill(dict.fromkeys(shuffled, 1))


@settings(max_examples=10, deadline=None)
@given(names.filter(lambda found: len(found) > 1))
def test_losing_a_backend_moves_few_slots_of_those_that_stay(backends: list[str]) -> None:
    before = owners(dict.fromkeys(backends, 1))
    after = owners(dict.fromkeys(backends[1:], 1))
    kept = [(a, b) for a, b in zip(before, after, strict=True) if a != backends[0]]
    assert sum(a != b for a, b in kept) < 0.03 * len(kept)


@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10), min_size=2))
def test_shares_follow_weights(weights: dict[str, int]) -> None:
    shares = Counter(owners(weights))
    for name, weight in weights.items():
        assert shares[name] == pytest.approx(RING_SIZE * weight / sum(weights.values()), rel=0.02)


def test_weight_zero_owns_nothing_and_nobody_is_said_plainly() -> None:
    assert set(owners({"a": 1, "b": 0})) == {"a"}
    assert fill({"a": 0}) == ((), fill({})[1])
    assert set(fill({})[1]) == {NOBODY}


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        fill({"a": -1})


def test_the_table_is_the_one_that_nodes_of_other_versions_have() -> None:
    """A change of this figure moves flows between L4 nodes while a fleet is upgraded."""
    assert zlib.crc32(fill({"eu-l7-1": 1, "eu-l7-2": 1, "eu-l7-3": 1})[1].tobytes()) == 2023285770


def test_program_and_table_have_the_same_size() -> None:
    assert f"#define RING_SIZE {RING_SIZE} " in (ROOT / "probes/reference/l4/maps.h").read_text()
