"""The sentence says no more than was measured, and how sure it is of nothing having broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.measured import Measured
from scenarios.sentence import headline, upper_bound
from scenarios.verdict import Act
from tests.scenarios.made import (
    EVENT,
    HEAL,
    PLAN,
    STEP,
    asked,
    attempts,
    broke,
    clean,
    connection,
    flow,
    judged,
    measured,
    trial_of,
)
from topologies.budget import Budget

BUDGET = Budget(black_hole_ns=300_000_000)


def said(given: Measured, **more: Any) -> str:
    return headline(PLAN, given, trial_of(given, BUDGET, **more), 12.0)


def test_it_names_the_fault_its_instant_and_what_was_lost() -> None:
    text = said(clean(flow(range(EVENT, EVENT + 7))))
    assert text.startswith(
        "Killed L4 node l4-1 silently at t = 12.00 s: the 2 flows that crossed it (from us) saw a black hole"
    )
    assert "of at most 70 ms (±10 ms; budget 300 ms)" in text


def test_a_p99_is_told_over_a_hundred_flows_and_not_over_fewer() -> None:
    flows = [flow(range(EVENT, EVENT + 1 + n % 9)) for n in range(100)]
    assert "saw a black hole of 90 ms (p99 over 100 flows; longest 90 ms; ±10 ms; budget 300 ms)" in said(
        measured(flows)
    )
    assert "p99" not in said(measured(flows[1:]))


def test_a_flow_that_never_came_back_is_said_to_have_lost_at_least_so_much() -> None:
    assert "at least 2000 ms, and 1 flows never came back" in said(measured([flow(range(EVENT, HEAL))]))


@pytest.mark.parametrize(("among", "share"), [(1, "95 %"), (59, "5 %"), (300, "0.99 %"), (3000, "0.1 %")])
def test_none_of_many_has_an_upper_bound(among: int, share: str) -> None:
    assert upper_bound(among) == f"95 % upper bound {share}"


@given(st.integers(1, 10_000))
def test_with_the_bound_as_its_chance_none_of_them_would_break_in_one_of_twenty_runs(among: int) -> None:
    share = float(upper_bound(among).split()[-2]) / 100
    assert (1 - share) ** among == pytest.approx(0.05, abs=0.02)


def test_what_broke_has_no_upper_bound() -> None:
    text = said(measured([flow()], [connection(broken=EVENT + 3), connection(touched=False)]))
    assert (
        "1 of 1 connections across it broke; elsewhere nothing was lost (0 of 1 connections; 95 % upper bound 95 %)"
        in text
    )


def test_a_failure_names_the_worst_flow() -> None:
    lost = clean(flow(range(EVENT, EVENT + 50), number=7), flow(range(EVENT, EVENT + 40), number=8))
    found = judged(lost, BUDGET)
    assert found.verdict == "fail"
    worst = "(udp 10.0.0.1 port 20007 → 203.0.113.20 port 7 from us)"
    assert found.reason.endswith(f"black_hole was 500 ms, limit 300 ms {worst}.")
    assert broke(found) == {"black_hole"}
    assert "worst" not in judged(clean(), BUDGET).reason
    assert worst not in judged(clean(), BUDGET).reason


def test_a_failure_names_a_touched_flow_though_one_elsewhere_lost_more() -> None:
    """A loss of 1,370 ms in another region was once told beside the broken limit of this one."""
    lost = clean(flow(range(EVENT, EVENT + 31), number=7), flow(range(EVENT, EVENT + 137), number=8, touched=False))
    rows = {r.name: r for r in judged(lost, BUDGET).rows}
    assert "port 20007" in rows["black_hole"].by
    assert "port 20008" in rows["elsewhere.black_hole"].by


def test_an_action_that_was_refused_and_a_fault_that_did_not_bite_are_told_as_that() -> None:
    refused = said(clean(), act=Act(action=True, refused="refused to drain: exit 1"))
    assert refused.startswith(
        "L4 node l4-1 refused what it was asked (refused to drain: exit 1) at t = 12.00 s: none of the"
    )
    vain = said(clean(), act=Act(not_bitten="no process haproxi in l4-1"))
    assert vain.startswith("Tried in vain: killed L4 node l4-1 silently (no process haproxi in l4-1) (t = 12.00 s)")
    assert "Killed" not in vain


def test_an_action_that_did_nothing_is_not_told_as_done() -> None:
    nothing = said(clean(), act=Act(action=True, did_nothing="it still carries new flows"))
    assert nothing.startswith("L4 node l4-1 was asked to ")
    assert "did nothing (it still carries new flows)" in nothing
    assert "Killed" not in nothing


@pytest.mark.parametrize("lost", ["attempts", "requests"])
def test_nothing_was_lost_elsewhere_only_where_no_new_connection_and_no_request_failed_there(lost: str) -> None:
    series = {"attempts": attempts, "requests": asked}[lost](range(EVENT, EVENT + 5), touched=False)
    text = said(clean(**{lost: [series]}))
    what = {"attempts": "5 new connections failed", "requests": "5 new requests failed"}[lost]
    assert f"elsewhere 0 probes were lost, {what} and 0 connections broke" in text


def test_new_connections_and_requests_that_failed_are_told_and_those_that_fail_still_with_at_least() -> None:
    text = said(clean(attempts=[attempts(range(EVENT, EVENT + 20))], requests=[asked(range(EVENT, HEAL))]))
    assert "new connections failed for 200 ms and new requests failed for at least 2000 ms" in text
    assert "new" not in said(clean(attempts=[attempts()], requests=[asked()]))


def test_each_is_told_as_exactly_as_it_was_asked_and_not_as_probes_were() -> None:
    """The report's table says the same."""
    thinned = replace(clean(requests=[asked(range(EVENT, EVENT + 5))]), interval_ns=4 * STEP)
    assert "new requests failed for 50 ms" in said(thinned)


def test_an_element_that_carried_nothing_has_no_flows_that_crossed_it() -> None:
    text = said(measured([flow(touched=False)], [connection(touched=False)]), carries=False)
    assert "nothing crossed it before. 0 of 1 connections broke" in text
