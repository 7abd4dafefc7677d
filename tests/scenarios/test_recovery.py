"""A fault is over when what it broke serves again by itself; what only the heal brought back has not recovered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenarios.verdict.old import hold_against

from probes.connections import ConnectionRecord
from scenarios.measured import Measured, classify_connection, measure_attempts
from scenarios.recovery import recovery
from tests.scenarios.made import CLOCK, EVENT, HEAL, STEP, flow, measured, record, trace
from topologies.budget import Budget

SERVED = record(opened=EVENT + 60, beats=[(EVENT + 60, EVENT + 61)])


def _recovering(replacement: ConnectionRecord | None, *, broken: float = EVENT + 50, lost: int = 10) -> Measured:
    """A touched flow that lost some probes, and a connection that broke, with what filled its place."""
    records = [record(broken=broken, unanswered=EVENT + 10), *([replacement] if replacement else [])]
    results = [classify_connection(r, CLOCK, touched=True, failed=()) for r in records]
    found = measured([flow(range(EVENT, EVENT + lost))], [c for c in results if c])
    return replace(found, clock=CLOCK)


def _steps(found: Measured) -> tuple[float, bool]:
    whole = recovery(found)
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
    rows = hold_against(found, Budget(recover_ns=60_000_000_000))
    (row,) = [row for row in rows if row.what == "recover"]
    assert (row.ok, row.measured[0]) == (False, "≥")


def test_one_asked_before_the_heal_and_broken_after_it_was_not_whole_before() -> None:
    found = _recovering(record(opened=HEAL + 5, beats=[(HEAL + 5, HEAL + 5)]), broken=HEAL + 2)
    assert _steps(found) == (HEAL - EVENT, True)


def test_new_connections_that_fail_until_the_heal_are_no_recovery() -> None:
    found = replace(_recovering(SERVED), attempts=(measure_attempts(trace(range(EVENT + 5, HEAL)), CLOCK),))
    assert _steps(found) == (HEAL - EVENT, True)
    (row,) = [row for row in hold_against(found, Budget(recover_ns=60_000_000_000)) if row.what == "recover"]
    assert row.ok is False


def test_loss_that_only_the_heal_ended_is_no_recovery() -> None:
    assert _steps(_recovering(SERVED, lost=HEAL - EVENT)) == (HEAL - EVENT, True)
