"""A wait ends when its condition holds, or says at its deadline what was missing."""

from __future__ import annotations

import time

import pytest

from scenarios.waiting import DeadlineMissed, pass_time, wait_until


def test_what_holds_already_is_not_waited_for() -> None:
    assert wait_until(lambda: "", deadline_s=0, what="nothing") < 1


def test_it_asks_until_nothing_is_missing() -> None:
    answers = ["two routes are missing", "one route is missing", ""]
    wait_until(lambda: answers.pop(0), deadline_s=30, every_s=0.001, what="routes")
    assert answers == []


def test_at_the_deadline_it_names_what_was_waited_for_and_what_was_seen_last() -> None:
    seen = iter(range(1000))
    with pytest.raises(DeadlineMissed, match=r"^convergence: after 0\.05 s answer \d+ of 9$"):
        wait_until(lambda: f"answer {next(seen)} of 9", deadline_s=0.05, every_s=0.02, what="convergence")


def test_it_asks_at_least_once_even_when_the_deadline_has_passed() -> None:
    with pytest.raises(DeadlineMissed, match="still this"):
        wait_until(lambda: "still this", deadline_s=-1, what="x")


def test_an_error_of_the_question_is_not_taken_for_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: str(1 // 0), deadline_s=5, what="x")


def test_passing_time_ends_at_the_instant_and_at_once_for_one_that_is_over() -> None:
    end = time.monotonic_ns() + 30_000_000
    pass_time(end)
    assert time.monotonic_ns() >= end
    began = time.monotonic()
    pass_time(0)
    assert time.monotonic() - began < 1
