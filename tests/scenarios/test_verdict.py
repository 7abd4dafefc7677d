"""The whole way from measurements to the verdict in the evidence: what was lost, doubted and allowed, and what is said of it.

What a verdict is has its own tests, in verdict/: here is that measurements come to it as they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.evidence import schema
from reports.evidence.reader import read_evidence
from reports.evidence.writer import EvidenceWriter
from scenarios.measured import Measured
from scenarios.verdict import Act, Heal
from tests.scenarios.made import (
    DEAD,
    END,
    EVENT,
    HEAL,
    STARVED,
    STOOD_STILL,
    asked,
    attempts,
    broke,
    clean,
    connection,
    connections,
    flow,
    judged,
    measured,
    row,
    told,
)
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


def made(flows: Flows, links: Links) -> Measured:
    return measured(
        [flow(lost, touched=touched, number=i) for i, (lost, touched) in enumerate(flows)],
        [
            connection(broken=at, touched=touched, own=own and touched, number=i)
            for i, (at, touched, own) in enumerate(links)
        ],
    )


# -- what was measured, doubted and allowed ------------------------------------------------------------------------


@settings(max_examples=60)
@given(flows=FLOWS, links=CONNECTIONS, budget=st.none() | BUDGETS)
def test_a_starved_lab_never_fails_and_passes_where_it_would_have_passed_with_cpu_to_spare(
    flows: Flows, links: Links, budget: Budget | None
) -> None:
    seen = made(flows, links)
    usual, found = judged(seen, budget), judged(seen, budget, STARVED)
    assert found.verdict == ("pass" if usual.verdict == "pass" else "unknown")
    assert STARVED.sentence[1:] in found.reason or usual.verdict == "unknown"


@settings(max_examples=60)
@given(flows=FLOWS, links=CONNECTIONS, budget=st.none() | BUDGETS)
def test_a_lab_that_stood_still_makes_unknown_whatever_was_measured(
    flows: Flows, links: Links, budget: Budget | None
) -> None:
    found = judged(made(flows, links), budget, STOOD_STILL)
    assert found.verdict == "unknown"
    assert STOOD_STILL.sentence[1:] in found.reason


@settings(max_examples=60)
@given(flows=FLOWS, links=CONNECTIONS, budget=st.none() | BUDGETS)
def test_a_dead_prober_never_passes_and_hides_no_broken_limit(
    flows: Flows, links: Links, budget: Budget | None
) -> None:
    trusted, found = judged(made(flows, links), budget), judged(made(flows, links), budget, DEAD)
    assert found.verdict == ("fail" if trusted.verdict == "fail" else "unknown")
    assert broke(found) == broke(trusted)


@settings(max_examples=60)
@given(flows=FLOWS, links=CONNECTIONS, budget=st.none() | BUDGETS)
def test_a_pass_has_a_budget_and_every_limited_figure_was_measured_and_kept(
    flows: Flows, links: Links, budget: Budget | None
) -> None:
    found = told(made(flows, links), budget)
    assert found.verdict in ("pass", "fail", "unknown")
    limited = [r.ok for r in found.judged if r.state is not None]
    if found.verdict == "pass":
        assert budget is not None
        assert all(ok is True for ok in limited)
    if found.verdict == "fail":
        assert False in limited
    if budget is None:
        assert found.verdict != "pass"


@settings(max_examples=120)
@given(flows=FLOWS, links=CONNECTIONS, budget=BUDGETS, data=st.data())
def test_a_worse_figure_never_makes_a_better_verdict(
    flows: Flows, links: Links, budget: Budget, data: st.DataObject
) -> None:
    before = judged(made(flows, links), budget)
    worse_flows = [
        (lost | data.draw(st.sets(st.integers(EVENT, END - 1), max_size=30)), touched) for lost, touched in flows
    ]
    worse_links: Links = [
        (data.draw(st.none() | st.integers(EVENT, END - 1)) if at is None else at, touched, own)
        for at, touched, own in links
    ]
    after = judged(made(worse_flows, worse_links), budget)
    if before.verdict == "fail":
        assert after.verdict == "fail"
    if before.verdict == "unknown":
        assert after.verdict != "pass"


def test_everything_within_its_budget_is_a_pass() -> None:
    found = judged(clean(flow(range(EVENT, EVENT + 29))), KEPT)
    assert (found.verdict, broke(found)) == ("pass", set())


@pytest.mark.parametrize(("lost", "word"), [(29, "pass"), (30, "unknown"), (31, "unknown"), (32, "fail")])
def test_a_figure_within_an_interval_of_its_limit_is_unknown(lost: int, word: str) -> None:
    assert judged(clean(flow(range(EVENT, EVENT + lost))), KEPT).verdict == word


def test_a_broken_budget_fails_and_names_the_budget_the_element_and_the_figure() -> None:
    found = judged(clean(flow(range(EVENT, EVENT + 32))), KEPT)
    assert (found.verdict, broke(found)) == ("fail", {"black_hole"})
    for part in ("l4-1", "kill-node/l4", "black_hole", "320 ms", "300 ms"):
        assert part in found.reason


def test_every_broken_budget_is_named() -> None:
    found = judged(clean(flow(range(EVENT, EVENT + 32)), held=connections(broken=EVENT + 9, among=1)), KEPT)
    assert broke(found) == {"black_hole", "broken", "reversion.broken"}
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
        ("request_fail", dataclasses.replace(KEPT, request_fail_ns=1000 * MS)),
    ],
)
def test_a_budget_for_what_was_not_measured_is_unknown_and_says_which(name: str, budget: Budget) -> None:
    found = judged(clean(), budget)
    assert found.verdict == "unknown"
    assert name in found.reason


def test_a_broken_budget_counts_more_than_one_that_was_not_measured() -> None:
    budget = dataclasses.replace(KEPT, new_fail_ns=1000 * MS)
    assert judged(clean(flow(range(EVENT, EVENT + 40))), budget).verdict == "fail"


def test_a_black_hole_budget_without_any_flow_across_the_element_is_unknown() -> None:
    found = judged(measured([flow(touched=False)], [connection(touched=False)]), KEPT)
    assert found.verdict == "unknown"
    assert "black_hole" in found.reason


def test_where_every_flow_crossed_the_element_nothing_elsewhere_is_missed() -> None:
    assert judged(measured([flow([EVENT])], connections()), KEPT).verdict == "pass"


@pytest.mark.parametrize(
    "seen",
    [
        {"more": (flow(range(HEAL - 2, HEAL)),)},
        {"attempts": [attempts(range(HEAL - 2, HEAL))]},
        {"requests": [asked(range(HEAL - 2, HEAL))]},
    ],
    ids=["probes", "SYNs", "requests"],
)
def test_a_loss_that_only_the_heal_ended_fails_however_large_the_budget(seen: dict[str, list[object]]) -> None:
    large = dataclasses.replace(KEPT, black_hole_ns=60_000 * MS)
    found = judged(clean(*seen.pop("more", []), **seen), large)  # type: ignore[arg-type]
    assert (found.verdict, broke(found)) == ("fail", {"ended"})
    assert "≥" in row(found, "ended").measured


def test_requests_that_fail_where_the_kernel_accepts_are_judged_by_the_limit_of_probes() -> None:
    """Envoy frozen: SYNs and pings are answered by the kernel."""
    seen = clean(attempts=[attempts()], requests=[asked(range(EVENT, EVENT + 50))])
    found = judged(seen, KEPT)
    assert (found.verdict, broke(found)) == ("fail", {"request_fail"})
    assert "takes that of `black_hole`" in found.reason


# -- connections ---------------------------------------------------------------------------------------------------


def test_own_forgives_what_ended_at_the_failed_element_and_nothing_else() -> None:
    own = connections(broken=EVENT + 9, among=1, own=True)
    assert judged(clean(held=own), OWN).verdict == "pass"
    found = judged(clean(held=[*own, *connections(broken=EVENT + 10, among=1)]), OWN)
    assert (found.verdict, broke(found)) == ("fail", {"broken", "reversion.broken"})


def test_own_is_not_told_of_one_whose_end_nobody_knows() -> None:
    found = judged(clean(held=connections(broken=EVENT + 9, among=1, own=None)), OWN)
    assert found.verdict == "unknown"
    assert "nobody can tell where they ended" in found.reason


@pytest.mark.parametrize(("broken", "verdict"), [(2, "pass"), (3, "fail")])
def test_a_count_is_held_against_the_number_that_broke(broken: int, verdict: str) -> None:
    budget = dataclasses.replace(KEPT, broken=BrokenBudget("count", 2))
    assert judged(clean(held=connections(broken=EVENT + 1, among=broken)), budget).verdict == verdict


@pytest.mark.parametrize(("broken", "verdict"), [(2, "pass"), (3, "fail")])
def test_a_percentage_is_of_the_connections_across_the_element(broken: int, verdict: str) -> None:
    budget = dataclasses.replace(KEPT, broken=BrokenBudget("percentage", 10))
    across = [*connections(broken=EVENT + 1, among=broken), *connections(among=20 - broken)]
    elsewhere = connections(among=90, touched=False)
    assert judged(measured([flow()], [*across, *elsewhere]), budget).verdict == verdict


def test_a_place_that_was_not_served_again_is_a_loss_that_has_not_ended() -> None:
    broken = connections(broken=EVENT + 9, among=1, own=True)[:1]
    found = judged(clean(held=broken), OWN)
    assert (found.verdict, broke(found)) == ("fail", {"ended"})


# -- elsewhere and the heal ----------------------------------------------------------------------------------------


def test_a_probe_lost_elsewhere_fails_although_nobody_wrote_a_budget_for_it() -> None:
    found = judged(clean(flow([EVENT + 5], touched=False)), KEPT)
    assert (found.verdict, broke(found)) == ("fail", {"elsewhere.black_hole"})


def test_a_connection_broken_elsewhere_fails_although_nobody_wrote_a_budget_for_it() -> None:
    found = judged(clean(held=connections(broken=EVENT + 5, among=1, touched=False)), OWN)
    assert (found.verdict, broke(found)) == ("fail", {"elsewhere.broken", "elsewhere.reversion.broken"})


@pytest.mark.parametrize(("lost", "word"), [(1, "pass"), (2, "unknown"), (4, "fail")])
def test_what_is_budgeted_elsewhere_is_allowed_elsewhere(lost: int, word: str) -> None:
    budget = dataclasses.replace(KEPT, elsewhere=Budget(black_hole_ns=20 * MS, broken=BrokenBudget("count", 1)))
    strays = connections(broken=EVENT + 5, among=1, touched=False)
    within = clean(flow(range(EVENT + 5, EVENT + 5 + lost), touched=False), held=strays)
    assert judged(within, budget).verdict == word


@pytest.mark.parametrize("touched", [True, False])
def test_what_the_heal_costs_is_judged_too(touched: bool) -> None:
    assert judged(clean(flow(range(HEAL, HEAL + 32), touched=touched)), KEPT).verdict == "fail"
    assert judged(clean(held=[connection(broken=HEAL + 5, touched=touched, number=7)]), KEPT).verdict == "fail"


@pytest.mark.parametrize(("lost", "word"), [(0, "unknown"), (40, "fail")])
def test_a_heal_that_left_something_of_ours_hides_no_broken_limit(lost: int, word: str) -> None:
    found = judged(clean(flow(range(EVENT, EVENT + lost))), KEPT, heal=Heal(ours_left="the cut of l4-1:eth1"))
    assert found.verdict == word


# -- what stood by -------------------------------------------------------------------------------------------------


def test_an_element_that_carried_nothing_stood_by_and_what_every_vantage_lost_is_its() -> None:
    idle = measured([flow(touched=False)], connections(touched=False))
    found = told(idle, KEPT, carries=False)
    assert (found.verdict, found.carried) == ("pass", False)
    assert "stood by: none of 1 flows" in found.reason
    lost = measured([flow(range(EVENT, EVENT + 40), touched=False)], connections(touched=False))
    assert told(lost, KEPT, carries=False).verdict == "fail"


# -- what is said --------------------------------------------------------------------------------------------------


def test_the_headline_says_what_was_done_what_was_seen_and_what_was_promised() -> None:
    said = told(clean(flow(range(EVENT, EVENT + 12))), KEPT).headline
    for part in ("Killed L4 node l4-1 silently", "120 ms", "±10 ms", "300 ms", "us"):
        assert part in said


def test_the_headline_of_an_endless_black_hole_says_at_least() -> None:
    assert "at least" in told(clean(flow(range(EVENT, HEAL))), KEPT).headline


def test_a_fault_that_did_not_bite_is_unknown_with_its_figures() -> None:
    found = told(clean(flow(range(EVENT, EVENT + 40))), KEPT, act=Act(not_bitten="processes live on in l4-1"))
    assert found.verdict == "unknown"
    assert "black hole of at most 400 ms" in found.headline
    assert "black_hole was 400 ms, limit 300 ms" in found.reason


@settings(max_examples=40)
@given(flows=FLOWS, links=CONNECTIONS, budget=st.none() | BUDGETS)
def test_what_is_written_is_read_again_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, flows: Flows, links: Links, budget: Budget | None
) -> None:
    path = tmp_path_factory.mktemp("evidence") / "evidence.jsonl"
    verdict = told(made(flows, links), budget)
    with EvidenceWriter(path) as writer:
        writer.write(verdict, t_ns=1, scenario=verdict.scenario)
    assert _verdicts(path) == [verdict]


def _verdicts(path: Path) -> list[schema.Verdict]:
    return [r.data for r in read_evidence(path).records if isinstance(r, schema.VerdictRecord)]
