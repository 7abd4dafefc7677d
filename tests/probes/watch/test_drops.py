"""Drops that nodes handed over are found again by when their packets died; a flood of them is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.watch.drops import Drops, HandedDrop
from tests.probes.watch.made import patient

TIMES = st.integers(1, 100)


def drop(first_ns: int, last_ns: int) -> HandedDrop:
    return HandedDrop("n", "l4", "no_route", None, 1, first_ns, last_ns)


drops = st.tuples(TIMES, TIMES).map(lambda pair: drop(min(pair), max(pair)))


@patient
@given(st.lists(drops, max_size=20), TIMES, TIMES)
def test_all_that_may_have_been_dropped_in_a_window_are_found_and_no_others(
    handed: list[HandedDrop], t0: int, t1: int
) -> None:
    kept = Drops()
    assert kept.add(handed) == []
    found = kept.between(t0, t1)
    assert found == sorted(found, key=lambda d: d.first_ns)
    window = set(range(t0, t1))
    for each in handed:
        assert (each in found) == bool(window & set(range(each.first_ns, each.last_ns + 1)))


@patient
@given(st.lists(st.lists(drops, max_size=9), max_size=9), st.integers(1, 10))
def test_the_newest_are_kept_and_what_is_forgotten_is_named(batches: list[list[HandedDrop]], most: int) -> None:
    kept = Drops(most)
    everything = [each for batch in batches for each in batch]
    forgotten = [each for batch in batches for each in kept.add(batch)]
    assert forgotten == everything[: max(0, len(everything) - most)]
    assert len(kept.between(0, 1000)) == min(most, len(everything))
