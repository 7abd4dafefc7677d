"""Every long test has its turn, and none runs unasked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.turns import PARTS, chosen

NAMES = st.sets(st.text("abc/_:", min_size=1), min_size=1, max_size=30)


@given(NAMES)
def test_each_test_comes_up_within_as_many_turns_as_there_are_parts(names: set[str]) -> None:
    seen = frozenset[str]().union(*(chosen(names, "turn", f"{turn:x}") for turn in range(PARTS)))
    assert seen == names


@given(NAMES, st.integers(0, 2**64))
def test_every_turn_runs_something_and_nothing_is_run_unasked(names: set[str], turn: int) -> None:
    assert chosen(names, "turn", f"{turn:x}")
    assert chosen(names, "", f"{turn:x}") == frozenset()
    assert chosen(names, "all", "") == names


def test_without_long_tests_there_is_none_to_choose() -> None:
    assert chosen((), "turn", "abc") == frozenset()
