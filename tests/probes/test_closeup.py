"""The probes shown around an episode: its edges, whole and in order, whatever its length and place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.closeup import ROWS, close_up, near_runs
from probes.episodes import flow_loss
from probes.flows import ANSWERED, LOST, NOT_SENT, REFUSED, RESET, FlowTrace
from probes.packets import plan_flows
from reports.evidence import schema
from tests.probes.truth import patient

STEP = 10_000_000
(FLOW,) = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 1, STEP)


def trace(states: list[int]) -> FlowTrace:
    n = len(states)
    state = np.array(states, np.uint8)
    due = 1_000 + STEP * np.arange(n, dtype=np.int64)
    answered = state == ANSWERED
    return FlowTrace(
        flow=FLOW,
        seq=np.arange(7, 7 + n, dtype=np.int64),
        due=due,
        tx=due + 1,
        rx=np.where(answered, due + 2, 0),
        sent=due,
        backend=np.where(answered, 0, 255).astype(np.uint8),
        state=state,
        unstamped=np.zeros(n, bool),
        ttl=np.where(answered, 61, 0).astype(np.uint8),
    )


def test_states_have_the_numbers_that_the_evidence_gives_them() -> None:
    assert (ANSWERED, LOST, NOT_SENT, REFUSED, RESET) == (
        schema.ANSWERED,
        schema.LOST,
        schema.NOT_SENT,
        schema.REFUSED,
        schema.RESET,
    )


@given(before=st.integers(0, 30), lost=st.integers(1, 60), after=st.integers(0, 30))
def test_both_edges_are_shown(before: int, lost: int, after: int) -> None:
    made = trace([ANSWERED] * before + [LOST] * lost + [ANSWERED] * after)
    (episode,) = flow_loss(made.due, made.state, STEP).episodes
    rows = close_up(made, episode, ("be-1",))
    numbers = [r.seq - 7 for r in rows]
    assert len(rows) <= ROWS
    assert numbers == sorted(set(numbers))
    assert {before, before + lost - 1} <= set(numbers)
    assert not before or before - 1 in numbers
    assert not after or before + lost in numbers
    for row, number in zip(rows, numbers, strict=True):
        gone = before <= number < before + lost
        assert row.state == (LOST if gone else ANSWERED)
        assert row.backend == (None if gone else "be-1")
        assert (row.rx_ns is None) == gone
        assert row.ttl == (None if gone else 61)
        assert row.due_ns == made.due[number] == (row.tx_ns or 0) - 1


@patient
@given(
    size=st.integers(1, 80),
    within=st.integers(0, 20 * STEP),
    periods=st.lists(st.tuples(st.integers(-5, 90 * STEP), st.none() | st.integers(0, 30 * STEP)), max_size=4),
)
def test_near_are_exactly_the_probes_within_reach_of_a_period_none_twice(
    size: int, within: int, periods: list[tuple[int, int | None]]
) -> None:
    made = trace([ANSWERED] * size)
    spans = [(start, None if length is None else start + length) for start, length in periods]
    runs = near_runs(3, made, spans, within)
    wanted = {
        i
        for i, due in enumerate(made.due.tolist())
        if any(start - within <= due and (end is None or due <= end + within) for start, end in spans)
    }
    found = [run.first + i for run in runs for i in range(len(run.due))]
    assert len(found) == len(set(found))
    assert set(found) == wanted
    for run, after in itertools.pairwise(runs):
        assert run.first + len(run.due) < after.first, "two runs that touch are one"
    for run in runs:
        assert run.flow == 3
        mine = slice(run.first, run.first + len(run.due))
        assert run.due.tolist() == made.due[mine].tolist()
        assert run.rx.tolist() == made.rx[mine].tolist()
        assert set(run.ttl) <= {61}


def test_a_flow_without_a_period_has_nothing_near() -> None:
    assert near_runs(0, trace([ANSWERED] * 5), []) == []


def test_an_episode_of_another_flow_is_refused() -> None:
    made = trace([ANSWERED, LOST, ANSWERED])
    (episode,) = flow_loss(made.due + 5, made.state, STEP).episodes
    with pytest.raises(ValueError, match="no probe due"):
        close_up(made, episode, ())
