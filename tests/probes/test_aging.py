"""An idle connection closed for its age is told from one that an instant closed: never the one for the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.connections import ConnectionRecord
from probes.connections.aging import AGE_TOLERANCE_NS, APART_NS, closed_by_age

MS = 1_000_000
S = 1000 * MS


def ended(opened_ns: int, broken_ns: int, **more: Any) -> ConnectionRecord:
    """An idle connection that was closed then, without a word."""
    given = {"last_answer_ns": opened_ns + MS, "broken_by": "closed", "use": "idle", "half": 0, **more}
    return ConnectionRecord("c", 0, 0, "10.0.0.1", 24000, "10.0.0.2", 80, opened_ns, broken_ns=broken_ns, **given)


def without_first(records: list[ConnectionRecord]) -> tuple[ConnectionRecord, list[ConnectionRecord]]:
    return records[0], records[1:]


@given(st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 100)), min_size=1, max_size=30))
def test_what_ended_at_one_instant_never_ended_for_its_age(opened: list[tuple[int, int]]) -> None:
    """Not even when an instant takes 100 ms."""
    records = [ended(at * MS, 90 * S + late * MS) for at, late in opened]
    for i, record in enumerate(records):
        assert not closed_by_age(record, records[:i] + records[i + 1 :])


@given(
    st.lists(st.tuples(st.integers(201, 5000), st.integers(0, 100)), min_size=3, max_size=20),
    st.integers(0, 3_600_000),
    st.permutations(range(3)),
)
def test_what_ended_at_one_age_always_did_for_its_age(
    gaps: list[tuple[int, int]], age_ms: int, order: list[int]
) -> None:
    at, records = 0, []
    for gap, late in gaps:
        at += gap
        records.append(ended(at * MS, (at + age_ms + late) * MS))
    first, others = without_first([records[i] for i in order] + records[3:])
    assert closed_by_age(first, others)


def test_an_age_may_be_that_of_silence() -> None:
    """Asked at different times, and closed so long afterwards: opened at once, as they may have been."""
    records = [ended(0, asked * S + 10 * S, last_answer_ns=asked * S) for asked in (1, 2, 3)]
    assert closed_by_age(*without_first(records))
    at_once = [ended(0, 20 * S, last_answer_ns=asked * S) for asked in (1, 2, 3)]
    assert not closed_by_age(*without_first(at_once))


def test_one_other_is_no_age_and_neither_are_others_opened_at_nearly_the_same_time() -> None:
    record, second, third = (ended(at * S, at * S + 10 * S) for at in (0, 1, 2))
    assert not closed_by_age(record, [second])
    assert not closed_by_age(record, [second, second])
    assert closed_by_age(record, [second, third])
    near = ended(S + APART_NS, S + APART_NS + 10 * S)
    assert not closed_by_age(record, [second, near])


def test_another_age_is_no_age() -> None:
    record, second, third = (ended(at * S, at * S + 10 * S) for at in (0, 1, 2))
    older = ended(0, 10 * S + AGE_TOLERANCE_NS + 1)
    assert not closed_by_age(older, [second, third])
    assert closed_by_age(record, [second, third])


@pytest.mark.parametrize(
    "more",
    [
        {"use": "busy"},
        {"use": "stream"},
        {"broken_by": "stall"},
        {"broken_by": "other-backend"},
        {"broken_by": "reset"},  # the others were closed
        {"broken_by": None, "broken_ns": None},
        {"unanswered_ns": 10 * S},
    ],
)
def test_what_ended_otherwise_did_not_end_for_its_age(more: dict[str, Any]) -> None:
    record, *others = (ended(at * S, at * S + 10 * S) for at in (0, 1, 2))
    assert closed_by_age(record, others)
    assert not closed_by_age(ended(**{"opened_ns": 0, "broken_ns": 10 * S, **more}), others)


@given(st.integers(0, 120_000))
def test_who_kept_it_idle_for_as_long_as_the_service_keeps_such_may_be_closed(silent_ms: int) -> None:
    record = ended(0, MS + silent_ms * MS)
    assert closed_by_age(record, [], 60 * S) == (silent_ms >= 59_900)
    assert not closed_by_age(record, [])


@pytest.mark.parametrize(("by", "counted"), [("reset", True), ("closed", True), ("stall", False)])
def test_asked_after_its_time_it_may_have_been_forgotten(by: str, counted: bool) -> None:
    """Who forgets idle connections resets them when they are heard of again; who answers nothing has not closed them."""
    assert closed_by_age(ended(0, 70 * S, unanswered_ns=70 * S - MS, broken_by=by), [], 60 * S) == counted
    assert not closed_by_age(ended(0, 70 * S, unanswered_ns=50 * S, broken_by=by), [], 60 * S)
