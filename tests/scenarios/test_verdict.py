"""The verdict lattice: no trust is `unknown`, a broken budget is `fail`, and only what was measured and kept is `pass`."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.measured import Measured
from tests.scenarios.made import BAD, END, EVENT, HEAL, OK, broke, clean, connection, flow, judged, measured, row
from topologies.budget import BrokenBudget, Budget

MS = 1_000_000
KEPT = Budget(black_hole_ns=300 * MS, broken=BrokenBudget("count", 0))
OWN = dataclasses.replace(KEPT, broken=BrokenBudget("own"))

FLOWS = st.lists(st.tuples(st.sets(st.integers(EVENT, END - 1), max_size=40), st.booleans()), max_size=4)
CONNECTIONS = st.lists(
    st.tuples(st.none() | st.integers(EVENT, END - 1), st.booleans(), st.booleans()), max_size=5
)  # broken at, touched, own
DURATIONS = st.none() | st.sampled_from([0, 10 * MS, 100 * MS, 300 * MS, 10_000 * MS])
BROKEN = (
    st.none()
    | st.just(BrokenBudget("own"))
    | st.builds(BrokenBudget, st.sampled_from(["count", "percentage"]), st.integers(0, 100))
)
ELSEWHERE = st.none() | st.builds(Budget, black_hole_ns=DURATIONS, broken=st.none() | st.just(BrokenBudget("count", 1)))
BUDGETS = st.builds(Budget, black_hole_ns=DURATIONS, broken=BROKEN, elsewhere=ELSEWHERE)

Flows = list[tuple[set[int], bool]]
Links = list[tuple[int | None, bool, bool]]


def made(flows: Flows, connections: Links) -> Measured:
    return measured(
        [flow(lost, touched=touched, number=i) for i, (lost, touched) in enumerate(flows)],
        [connection(broken=at, touched=touched, own=own and touched) for at, touched, own in connections],
    )


# -- the lattice ---------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(flows=FLOWS, connections=CONNECTIONS, budget=st.none() | BUDGETS)
def test_an_instrument_that_cannot_be_trusted_makes_unknown_whatever_was_measured(
    flows: Flows, connections: Links, budget: Budget | None
) -> None:
    found = judged(made(flows, connections), budget, OK, BAD)
    assert found.verdict == "unknown"
    assert BAD.sentence in found.reason


@settings(max_examples=60)
@given(flows=FLOWS, connections=CONNECTIONS, budget=st.none() | BUDGETS)
def test_a_pass_has_a_budget_and_every_budgeted_figure_was_measured_and_kept(
    flows: Flows, connections: Links, budget: Budget | None
) -> None:
    found = judged(made(flows, connections), budget)
    assert found.verdict in ("pass", "fail", "unknown")
    budgeted = [r.ok for r in found.judgements if r.budget != "not judged"]
    if found.verdict == "pass":
        assert budget is not None
        assert all(ok is True for ok in budgeted)
    if found.verdict == "fail":
        assert False in budgeted
    if budget is None:
        assert found.verdict == "unknown"


@settings(max_examples=120)
@given(flows=FLOWS, connections=CONNECTIONS, budget=BUDGETS, data=st.data())
def test_a_worse_figure_never_makes_a_better_verdict(
    flows: Flows, connections: Links, budget: Budget, data: st.DataObject
) -> None:
    before = judged(made(flows, connections), budget)
    worse_flows = [
        (lost | data.draw(st.sets(st.integers(EVENT, END - 1), max_size=30)), touched) for lost, touched in flows
    ]
    worse_links: Links = [
        (data.draw(st.none() | st.integers(EVENT, END - 1)) if at is None else at, touched, own)
        for at, touched, own in connections
    ]
    after = judged(made(worse_flows, worse_links), budget)
    if before.verdict == "fail":
        assert after.verdict == "fail"
    if before.verdict == "unknown":
        assert after.verdict != "pass"


def test_everything_within_its_budget_is_a_pass() -> None:
    found = judged(clean(flow(range(EVENT, EVENT + 30))), KEPT)
    assert (found.verdict, broke(found)) == ("pass", set())


def test_a_broken_budget_fails_and_names_the_budget_the_element_and_the_figure() -> None:
    found = judged(clean(flow(range(EVENT, EVENT + 31))), KEPT)
    assert (found.verdict, broke(found)) == ("fail", {"black_hole"})
    for part in ("l4-1", "kill-node/l4", "black_hole", "310 ms", "300 ms"):
        assert part in found.reason


def test_every_broken_budget_is_named() -> None:
    found = judged(clean(flow(range(EVENT, EVENT + 31)), connections=[connection(broken=EVENT + 9)]), KEPT)
    assert broke(found) == {"black_hole", "broken"}
    assert all(what in found.reason for what in broke(found))


def test_without_a_budget_it_is_measured_but_unknown() -> None:
    found = judged(clean(flow([EVENT])), None)
    assert found.verdict == "unknown"
    assert "kill-node" in found.reason
    assert row(found, "black_hole").measured == "10 ms"


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("new_fail", dataclasses.replace(KEPT, new_fail_ns=1000 * MS)),
        ("recover", dataclasses.replace(KEPT, recover_ns=1000 * MS)),
    ],
)
def test_a_budget_for_what_was_not_measured_is_unknown_and_says_which(name: str, budget: Budget) -> None:
    found = judged(clean(), budget)
    assert found.verdict == "unknown"
    assert name in found.reason


def test_a_broken_budget_counts_more_than_one_that_was_not_measured() -> None:
    budget = dataclasses.replace(KEPT, recover_ns=1000 * MS)
    assert judged(clean(flow(range(EVENT, EVENT + 40))), budget).verdict == "fail"


def test_a_black_hole_budget_without_any_flow_across_the_element_is_unknown() -> None:
    found = judged(measured([flow(touched=False)], [connection(touched=False)]), KEPT)
    assert found.verdict == "unknown"
    assert "black_hole" in found.reason


def test_where_every_flow_crossed_the_element_nothing_elsewhere_is_missed() -> None:
    assert judged(measured([flow([EVENT])], [connection()]), KEPT).verdict == "pass"


def test_a_black_hole_that_only_the_heal_ended_fails_however_large_the_budget() -> None:
    found = judged(clean(flow(range(HEAL - 2, HEAL))), dataclasses.replace(KEPT, black_hole_ns=60_000 * MS))
    assert (found.verdict, broke(found)) == ("fail", {"black_hole"})
    assert "≥" in row(found, "black_hole").measured


# -- connections ---------------------------------------------------------------------------------------------------


def test_own_forgives_what_ended_at_the_failed_element_and_nothing_else() -> None:
    own = connection(broken=EVENT + 9, own=True)
    assert judged(clean(connections=[own]), OWN).verdict == "pass"
    found = judged(clean(connections=[own, connection(broken=EVENT + 9)]), OWN)
    assert (found.verdict, broke(found)) == ("fail", {"broken"})


@pytest.mark.parametrize(("broken", "verdict"), [(2, "pass"), (3, "fail")])
def test_a_count_is_held_against_the_number_that_broke(broken: int, verdict: str) -> None:
    budget = dataclasses.replace(KEPT, broken=BrokenBudget("count", 2))
    assert judged(clean(connections=[connection(broken=EVENT + 1)] * broken), budget).verdict == verdict


@pytest.mark.parametrize(("broken", "verdict"), [(1, "pass"), (2, "fail")])
def test_a_percentage_is_of_the_connections_across_the_element(broken: int, verdict: str) -> None:
    budget = dataclasses.replace(KEPT, broken=BrokenBudget("percentage", 10))
    across = [*[connection(broken=EVENT + 1)] * broken, *[connection()] * (9 - broken)]  # and the one of `clean`
    assert judged(clean(connections=[*across, *[connection(touched=False)] * 90]), budget).verdict == verdict


# -- elsewhere and the heal ----------------------------------------------------------------------------------------


def test_a_probe_lost_elsewhere_fails_although_nobody_wrote_a_budget_for_it() -> None:
    found = judged(clean(flow([EVENT + 5], touched=False)), KEPT)
    assert (found.verdict, broke(found)) == ("fail", {"elsewhere.black_hole"})


def test_a_connection_broken_elsewhere_fails_although_nobody_wrote_a_budget_for_it() -> None:
    found = judged(clean(connections=[connection(broken=EVENT + 5, touched=False)]), OWN)
    assert (found.verdict, broke(found)) == ("fail", {"elsewhere.broken"})


def test_what_is_budgeted_elsewhere_is_allowed_elsewhere() -> None:
    budget = dataclasses.replace(KEPT, elsewhere=Budget(black_hole_ns=20 * MS, broken=BrokenBudget("count", 1)))
    within = clean(
        flow([EVENT + 5, EVENT + 6], touched=False), connections=[connection(broken=EVENT + 5, touched=False)]
    )
    assert judged(within, budget).verdict == "pass"
    assert judged(clean(flow(range(EVENT + 5, EVENT + 8), touched=False)), budget).verdict == "fail"


@pytest.mark.parametrize("touched", [True, False])
def test_what_the_heal_costs_is_judged_too(touched: bool) -> None:
    assert judged(clean(flow(range(HEAL, HEAL + 31), touched=touched)), KEPT).verdict == "fail"
    assert judged(clean(connections=[connection(broken=HEAL + 5, touched=touched)]), KEPT).verdict == "fail"


# -- what is said --------------------------------------------------------------------------------------------------


def test_the_headline_says_what_was_done_what_was_seen_and_what_was_promised() -> None:
    said = judged(clean(flow(range(EVENT, EVENT + 12))), KEPT).headline
    for part in ("Killed L4 node l4-1 silently", "120 ms", "±10 ms", "300 ms", "us"):
        assert part in said


def test_the_headline_of_an_endless_black_hole_says_at_least() -> None:
    assert "at least" in judged(clean(flow(range(EVENT, HEAL))), KEPT).headline
