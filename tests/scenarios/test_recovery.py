"""A fault is over when what it broke serves again by itself; what only the heal brought back has not recovered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.connections import ConnectionRecord
from scenarios.measured import Measured, classify_connection
from scenarios.verdict.recovery import recovery
from tests.scenarios.made import (
    CLOCK,
    EVENT,
    HEAL,
    STEP,
    asked,
    attempts,
    broke,
    flow,
    judged,
    measured,
    record,
    row,
    told,
    trial_of,
)
from topologies.budget import Budget

LARGE = Budget(recover_ns=60_000_000_000)
SERVED = record(opened=EVENT + 60, beats=[(EVENT + 60, EVENT + 61)])


def _recovering(replacement: ConnectionRecord | None, *, broken: float = EVENT + 50, lost: int = 10) -> Measured:
    """A touched flow that lost some probes, and a connection that broke, with what filled its place."""
    records = [record(broken=broken, unanswered=EVENT + 10), *([replacement] if replacement else [])]
    results = [classify_connection(r, CLOCK, touched=True, own=False) for r in records]
    return measured([flow(range(EVENT, EVENT + lost))], [c for c in results if c])


def _steps(found: Measured) -> tuple[float, bool]:
    whole = recovery(trial_of(found, None))
    assert whole is not None
    return whole.after_ns / STEP, whole.censored


@given(opened=st.integers(50, 120), wait=st.integers(0, 60))
def test_a_place_is_filled_when_its_new_connection_first_answers_and_not_when_it_is_accepted(
    opened: int, wait: int
) -> None:
    at = EVENT + opened
    found = _recovering(record(opened=at, beats=[(at, at + wait)]))
    assert _steps(found) == (opened + wait, False)


@pytest.mark.parametrize(
    "replacement",
    [
        None,
        record(opened=EVENT + 60, beats=[(EVENT + 60, HEAL + 5)]),
        record(opened=EVENT + 60, waiting=EVENT + 60),
        record(opened=EVENT + 60, broken=EVENT + 110, unanswered=EVENT + 60),
        record(opened=HEAL + 20, beats=[(HEAL + 20, HEAL + 20)]),
        replace(record(opened=EVENT + 60), closed_ns=(EVENT + 61) * STEP),
        record(opened=EVENT + 60),
    ],
    ids=[
        "never filled",
        "accepted but served by the heal",
        "accepted, never served",
        "broke as well",
        "after the heal",
        "closed without an answer",
        "nothing known but that it was accepted",
    ],
)
def test_a_place_that_only_the_heal_filled_has_not_recovered_by_itself(replacement: ConnectionRecord | None) -> None:
    found = _recovering(replacement)
    assert _steps(found) == (HEAL - EVENT, True)
    said = row(judged(found, LARGE), "recover")
    assert (said.ok, said.measured[0]) == (False, "≥")


def test_one_asked_before_the_heal_and_broken_after_it_was_not_whole_before() -> None:
    found = _recovering(record(opened=HEAL + 5, beats=[(HEAL + 5, HEAL + 5)]), broken=HEAL + 2)
    assert _steps(found) == (HEAL - EVENT, True)


@pytest.mark.parametrize("kind", ["SYNs", "requests"])
def test_new_connections_or_requests_that_fail_until_the_heal_are_no_recovery(kind: str) -> None:
    failed = range(EVENT + 5, HEAL)
    more = {"attempts": (attempts(failed),)} if kind == "SYNs" else {"requests": (asked(failed),)}
    found = replace(_recovering(SERVED), **more)
    assert _steps(found) == (HEAL - EVENT, True)
    assert broke(judged(found, LARGE)) == {"recover", "ended"}


def test_loss_that_only_the_heal_ended_is_no_recovery() -> None:
    assert _steps(_recovering(SERVED, lost=HEAL - EVENT)) == (HEAL - EVENT, True)


def test_without_anything_touched_there_is_no_recovery() -> None:
    assert recovery(trial_of(measured([flow(touched=False)]), None)) is None


def test_an_idle_connection_that_was_found_broken_tells_no_recovery() -> None:
    """It is asked once, shortly before the heal: its place is not served again before."""
    idle = classify_connection(
        replace(record(broken=EVENT + 150, unanswered=EVENT + 140), use="idle"), CLOCK, touched=True, own=False
    )
    assert idle is not None
    assert _steps(measured([flow(range(EVENT, EVENT + 10))], [idle])) == (10, False)


@given(lost=st.integers(0, HEAL - EVENT), at=st.none() | st.integers(60, 250), tried=st.integers(0, HEAL - EVENT))
def test_the_report_tells_the_figure_that_the_limit_judged(lost: int, at: int | None, tried: int) -> None:
    again = None if at is None else record(opened=EVENT + at, beats=[(EVENT + at, EVENT + at)])
    given_ = replace(_recovering(again, lost=lost), attempts=(attempts(range(EVENT, EVENT + tried)),))
    verdict = told(given_, LARGE)
    (limited,) = [r for r in verdict.judged if r.what == "recover"]
    assert verdict.recover_ms == (None if limited.censored else limited.figure)
