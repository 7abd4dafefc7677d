"""From verdicts to a run's exit code: a table, and what holds for every set of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.evidence.schema import VerdictWord
from scenarios.verdict.outcome import BAD_INPUT, FAIL, PASS, UNKNOWN, Outcomes, worst

WORDS: tuple[VerdictWord, ...] = ("pass", "fail", "unknown")
words = st.sampled_from(WORDS)
SEVERITY = {PASS: 0, UNKNOWN: 1, FAIL: 2, BAD_INPUT: 3}


@pytest.mark.parametrize(
    ("verdicts", "went_wrong", "code"),
    [
        ({"pass"}, False, PASS),
        ({"pass"}, True, UNKNOWN),
        (set(), False, UNKNOWN),
        (set(), True, UNKNOWN),
        ({"unknown"}, False, UNKNOWN),
        ({"pass", "unknown"}, False, UNKNOWN),
        ({"fail"}, False, FAIL),
        ({"fail"}, True, FAIL),
        ({"pass", "unknown", "fail"}, False, FAIL),
    ],
)
def test_the_exit_code(verdicts: set[VerdictWord], went_wrong: bool, code: int) -> None:
    assert Outcomes(frozenset(verdicts), went_wrong).exit_code == code
    assert Outcomes(frozenset(verdicts), went_wrong, bad_input=True).exit_code == BAD_INPUT


def test_the_codes_are_those_that_users_know() -> None:
    assert (PASS, FAIL, BAD_INPUT, UNKNOWN) == (0, 1, 2, 3)


@given(verdicts=st.lists(words, min_size=1), more=words, went_wrong=st.booleans())
def test_a_target_more_never_improves_a_run_that_judged_one(
    verdicts: list[VerdictWord], more: VerdictWord, went_wrong: bool
) -> None:
    before = Outcomes(frozenset(verdicts), went_wrong).exit_code
    assert SEVERITY[Outcomes(frozenset([*verdicts, more]), went_wrong).exit_code] >= SEVERITY[before]
    assert worst([*verdicts, more]) == worst([worst(verdicts), more])


@given(verdicts=st.lists(words), data=st.data())
def test_neither_order_nor_number_of_outcomes_matters(verdicts: list[VerdictWord], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations(verdicts * 2))
    assert Outcomes(frozenset(verdicts)).exit_code == Outcomes(frozenset(mixed)).exit_code
    assert worst(verdicts) == worst(mixed)


@given(verdicts=st.lists(words, min_size=1))
def test_the_worst_verdict_alone_has_the_exit_code_of_all(verdicts: list[VerdictWord]) -> None:
    assert Outcomes(frozenset(verdicts)).exit_code == Outcomes(frozenset({worst(verdicts)})).exit_code


@pytest.mark.parametrize("some", [c for n in (1, 2, 3) for c in itertools.combinations(WORDS, n)])
def test_fail_comes_before_unknown_and_unknown_before_pass(some: tuple[VerdictWord, ...]) -> None:
    assert worst(some) == next(word for word in ("fail", "unknown", "pass") if word in some)


def test_the_worst_of_none_is_unknown() -> None:
    assert worst([]) == "unknown"


@given(verdicts=st.frozensets(words), went_wrong=st.booleans())
def test_the_last_sentence_says_what_the_exit_code_says(verdicts: frozenset[VerdictWord], went_wrong: bool) -> None:
    """A failed test of the user's own beside scenarios that pass: no run that passed."""
    found = Outcomes(verdicts, went_wrong)
    assert {"pass": PASS, "fail": FAIL, "unknown": UNKNOWN}[found.verdict] == found.exit_code
