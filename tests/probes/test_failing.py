"""Stretches of failed attempts: more failures never make one shorter, and neither order nor gaps in what is known mislead."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.failing import APART_NS, Stretch, stretches

MS = 1_000_000
STEP = 50 * MS
GOOD, FAILED, UNKNOWN = range(3)

series = st.lists(st.sampled_from([GOOD, GOOD, GOOD, FAILED, UNKNOWN]), max_size=200)


def of(states: list[int], step: int = STEP) -> tuple[Stretch, ...]:
    known = np.array([i for i, s in enumerate(states) if s != UNKNOWN], np.int64)
    return stretches(known * step, [states[i] == GOOD for i in known], step)


def longest(found: tuple[Stretch, ...]) -> int:
    return max((s.length_ns for s in found), default=0)


def test_a_stretch_lasts_from_its_first_failed_attempt_to_the_next_good_one() -> None:
    states = [GOOD] * 10 + [FAILED] * 4 + [GOOD] * 10
    assert of(states) == (Stretch(10 * STEP, 13 * STEP, 14 * STEP, 4, ended=True),)


def test_the_next_good_one_may_be_a_while_off_where_attempts_were_never_sent() -> None:
    (found,) = of([GOOD, FAILED, UNKNOWN, UNKNOWN, UNKNOWN, GOOD])
    assert (found.length_ns, found.ended) == (4 * STEP, True)


def test_without_a_good_one_after_it_a_stretch_has_not_ended() -> None:
    (found,) = of([GOOD, FAILED, FAILED, UNKNOWN, UNKNOWN])
    assert (found.length_ns, found.ended) == (2 * STEP, False)
    assert of([GOOD, FAILED, FAILED, GOOD])[0].ended


def test_failures_less_than_a_second_apart_are_one_stretch_and_a_second_apart_two() -> None:
    near = APART_NS // STEP - 1
    assert len(of([FAILED, *[GOOD] * (near - 1), FAILED, GOOD])) == 1
    assert len(of([FAILED, *[GOOD] * near, FAILED, GOOD])) == 2


def test_failures_with_no_good_one_between_them_are_one_stretch_however_far_apart() -> None:
    (found,) = of([FAILED, *[UNKNOWN] * 100, FAILED, GOOD])
    assert (found.failed, found.length_ns) == (2, 102 * STEP)
    assert len(of([GOOD, FAILED, FAILED, GOOD], step=2 * APART_NS)) == 1


@given(series)
def test_stretches_hold_every_failed_attempt_and_do_not_overlap(states: list[int]) -> None:
    found = of(states)
    failed = [i * STEP for i, s in enumerate(states) if s == FAILED]
    assert sum(s.failed for s in found) == len(failed)
    assert all(any(s.start_ns <= t <= s.last_ns < s.end_ns for s in found) for t in failed)
    for before, after in itertools.pairwise(found):
        assert before.ended
        assert before.end_ns < after.start_ns
        assert after.start_ns - before.last_ns >= APART_NS
    for one in found[:-1] if found and not found[-1].ended else found:
        assert states[one.end_ns // STEP] == GOOD


@given(series, st.data())
def test_a_failed_attempt_in_place_of_a_good_one_lowers_nothing(states: list[int], data: st.DataObject) -> None:
    goods = [i for i, s in enumerate(states) if s == GOOD]
    chosen = data.draw(st.sets(st.sampled_from(goods))) if goods else set()
    worse = [FAILED if i in chosen else s for i, s in enumerate(states)]
    assert longest(of(worse)) >= longest(of(states))
    if not all(s.ended for s in of(states)):
        assert not all(s.ended for s in of(worse))


@given(series, st.data())
def test_a_failed_attempt_more_lowers_nothing(states: list[int], data: st.DataObject) -> None:
    unknown = [i for i, s in enumerate(states) if s == UNKNOWN]
    chosen = data.draw(st.sets(st.sampled_from(unknown))) if unknown else set()
    worse = [FAILED if i in chosen else s for i, s in enumerate(states)]
    assert longest(of(worse)) >= longest(of(states))


@given(series, st.randoms(use_true_random=False))
def test_the_order_in_which_attempts_are_told_does_not_matter(states: list[int], random: object) -> None:
    order = list(range(len(states)))
    random.shuffle(order)  # type: ignore[attr-defined]
    due, good = np.arange(len(states)) * STEP, np.array([s == GOOD for s in states], bool)
    assert stretches(due[order], good[order], STEP) == stretches(due, good, STEP)


@given(series, st.integers(0, 200))
def test_two_halves_of_a_window_tell_no_more_than_the_whole(states: list[int], at: int) -> None:
    at = min(at, len(states))
    whole, before, after = (longest(of(part)) for part in (states, states[:at], states[at:]))
    assert max(before, after) <= whole
    if not any(s.start_ns < at * STEP <= s.end_ns for s in of(states)):
        assert max(before, after) == whole


@given(series)
def test_watching_longer_with_nothing_more_lost_only_ends_a_stretch(states: list[int]) -> None:
    found, longer = of([*states, GOOD]), of([*states, *[GOOD] * 60])
    assert longer == found
    assert all(s.ended for s in longer)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 due times, and 1 words"):
        stretches([0, 1], [True], STEP)
