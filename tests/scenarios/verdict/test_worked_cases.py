"""The worked cases of what a verdict is, and what was once seen to go wrong, each as a trial and its verdict.

Which target is chosen, what is played, and what holds at rest is decided before a trial; it is tested where that is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scenarios.verdict import Act, Heal, Judged, Loaded, judge
from scenarios.verdict.outcome import FAIL, PASS, UNKNOWN, Outcomes
from scenarios.verdict.standing import Seen, missing
from tests.scenarios.verdict.made import (
    NONE_BROKEN,
    OWN,
    S,
    allows,
    held,
    probes,
    requests,
    row,
    rows,
    stall,
    starved,
    syns,
    trial,
    verdict,
)
from topologies.budget import Budget, Judging

KEPT = allows(black_hole=300, new_fail=300, broken=NONE_BROKEN)
DRAIN = allows(black_hole=0, broken=NONE_BROKEN)
BUSY = (probes(), syns(), requests())
IDLE = (probes(touched=False), syns(touched=False), requests(touched=False))


def drained(**act: str) -> Act:
    return Act(action=True, **act)  # type: ignore[arg-type]


# -- the table of worked cases -------------------------------------------------------------------------------------


def test_a_standby_of_a_vrrp_pair_is_killed_by_name_and_nothing_is_lost() -> None:
    found = verdict(*IDLE, connections=held(touched=False), budget=KEPT, carries=False)
    assert (found.verdict, found.stood_by) == ("pass", True)
    assert "us-l4-1 stood by: none of 1 flows and 2000 requests crossed it" in found.reason


def test_a_standby_is_killed_and_something_is_lost_all_the_same() -> None:
    found = verdict(probes(400, touched=False), *IDLE[1:], connections=held(touched=False), budget=KEPT, carries=False)
    assert found.verdict == "fail"
    assert not found.stood_by


@pytest.mark.parametrize("named", [True, False])
def test_an_app_behind_a_proxy_is_killed_one_of_three_and_requests_are_retried(named: bool) -> None:
    """Touched by the name that answers bore; without names nothing is known to cross, and every vantage is judged."""
    budget = allows(request_fail=300, broken=OWN)
    connections = held(10, end="own", touched=named)
    seen = {"budget": budget, "carries": named, "connections": connections if named else held(touched=False)}
    assert verdict(requests(touched=named), **seen).verdict == "pass"
    broken = verdict(requests(400, touched=named), requests(touched=False, vantage="ap-client"), **seen)
    assert broken.verdict == "fail"
    assert "request_fail was 400 ms, limit 300 ms (request of eu-client)" in broken.reason


def test_the_only_backend_is_killed_and_all_connections_break_against_own_alone() -> None:
    connections = held(100, 100, end="own", again=None)
    found = verdict(requests(25_000, open=True), connections=connections, budget=allows(broken=OWN))
    assert [r.state for r in rows(found, "broken")] == ["ok"]
    assert (found.verdict, row(found, "ended").state) == ("fail", "fail")
    assert "ended was ≥ 25,000 ms, limit an end of the loss" in found.reason


@pytest.mark.parametrize(("broken", "word"), [(1, "fail"), (0, "unknown")])
def test_an_l4_with_four_connections(broken: int, word: str) -> None:
    found = verdict(probes(), syns(), connections=held(broken, 4), budget=KEPT)
    assert found.verdict == word
    if word == "unknown":
        assert "4 connections crossed us-l4-1, 10 are needed" in found.reason


@pytest.mark.parametrize(("seen", "carries", "word"), [(BUSY, True, "fail"), (IDLE, False, "unknown")])
def test_a_drain_that_does_nothing(seen: tuple[object, ...], carries: bool, word: str) -> None:
    connections = held(touched=carries)
    act = drained(did_nothing="it still carries new flows")
    found = verdict(*seen, connections=connections, budget=DRAIN, planned=True, carries=carries, act=act)  # type: ignore[arg-type]
    assert found.verdict == word
    assert ("did nothing" in found.reason) == carries


def test_a_region_that_is_not_promised_is_killed_by_name() -> None:
    budget = Budget(not_promised=True)
    found = verdict(probes(9_000, open=True), syns(), connections=held(3), budget=budget, name="kill-region")
    assert (found.verdict, found.counts) == ("unknown", False)
    assert "black_hole was ≥ 9,000 ms" in found.reason
    assert "broken was 3 of 30 busy" in found.reason


@pytest.mark.parametrize(
    "budget", [allows(black_hole=300, new_fail=300), allows(broken=NONE_BROKEN), allows(recover=30_000)]
)
def test_an_envoy_is_frozen_behind_checks_that_always_say_yes(budget: Budget) -> None:
    """The kernel accepts, nobody answers, and the contract names no `request_fail`."""
    found = verdict(probes(), syns(), requests(25_000, open=True), connections=held(), budget=budget)
    assert found.verdict == "fail"
    assert row(found, "ended").state == "fail"


def test_250_ms_of_every_500_are_lost_for_ever_against_300() -> None:
    found = verdict(syns(25_000, samples=2_000, open=True), budget=allows(black_hole=300, new_fail=300))
    assert found.verdict == "fail"
    assert {"new_fail", "ended"} <= {r.name for r in found.rows if r.state == "fail"}


def test_bgpd_is_frozen_and_connections_are_reset_when_the_hold_time_runs_out() -> None:
    """After 5.4 s all was quiet; the timer kept the fault standing until what it brought was seen."""

    def still(at_s: float, broke: tuple[int, ...] = ()) -> str:
        running = ["the hold time of us-l4-1 at us-edge-1"] if at_s < 9 else []
        now = int(at_s * S)
        return missing(Seen(0, now, asked_ns=now, ended_connections=broke, running=running))

    assert still(5.4) == "still running: the hold time of us-l4-1 at us-edge-1"
    assert still(9.1, (9 * S,)) == "5 s without loss are not over"
    assert still(14.4, (9 * S,)) == ""
    assert verdict(*BUSY, connections=held(16, 30, again=9_100), budget=KEPT).verdict == "fail"


@pytest.mark.parametrize(
    ("heal", "lost_ms", "word"),
    [
        (Heal(missing="us-l4-1: no route to us-app-1", back_ns=None), 0, "fail"),
        (Heal(ours_left="a cut of us-l4-1:eth1"), 0, "unknown"),
        (Heal(missing="us-l4-1: no route to us-app-1", back_ns=None), 1_500, "fail"),
        (Heal(ours_left="a cut of us-l4-1:eth1"), 1_500, "fail"),
    ],
)
def test_a_heal_that_fails(heal: Heal, lost_ms: float, word: str) -> None:
    found = verdict(probes(lost_ms), *BUSY[1:], connections=held(), budget=KEPT, heal=heal)
    assert found.verdict == word
    if lost_ms:
        assert "black_hole was 1,500 ms, limit 300 ms" in found.reason
    assert (heal.missing or heal.ours_left) in found.reason


@pytest.mark.parametrize(("ms", "word"), [(6_950, "fail"), (310, "unknown")])
def test_a_prober_stalls_for_60_ms_in_a_black_hole_against_300(ms: float, word: str) -> None:
    found = verdict(probes(ms), budget=allows(black_hole=300), doubts=(stall(60),))
    assert found.verdict == word


def test_our_fault_did_not_bite_and_something_was_lost() -> None:
    found = verdict(probes(6_950), *BUSY[1:], budget=KEPT, act=Act(not_bitten="a frame left us-l4-1"))
    assert found.verdict == "unknown"
    assert "black_hole was 6,950 ms, limit 300 ms" in found.reason
    late = verdict(*BUSY, budget=KEPT, act=Act(not_bitten="a frame left us-l4-1"), heal=Heal(back_ns=61 * S))
    assert "return was 61,000 ms, limit 60,000 ms" in late.reason


def test_a_vip_answers_no_ping_and_speaks_http_only() -> None:
    found = verdict(syns(), requests(), connections=held(), budget=KEPT)
    assert found.verdict == "pass"
    lost = verdict(syns(400), requests(), connections=held(), budget=allows(black_hole=300))
    assert (lost.verdict, row(lost, "black_hole").by) == ("fail", "syn of eu-client")


def test_a_drain_leaves_established_connections_where_they_are_and_new_flows_are_gone() -> None:
    assert verdict(*BUSY, connections=held(), budget=DRAIN, planned=True, act=drained()).verdict == "pass"


def test_an_undrain_never_announces_again() -> None:
    heal = Heal(missing="us-l4-1: 0 of 2 next hops at us-edge-1", back_ns=None)
    found = verdict(*BUSY, connections=held(), budget=DRAIN, planned=True, act=drained(), heal=heal)
    assert found.verdict == "fail"
    assert "return was not before the end" in found.reason
    assert "us-l4-1: 0 of 2 next hops at us-edge-1" in found.reason


def test_one_of_two_edges_without_bfd_is_killed_and_its_routes_do_not_come_back_in_time() -> None:
    heal = Heal(missing="us-edge-1: BGP Idle", back_ns=None)
    found = verdict(probes(6_950), *BUSY[1:], connections=held(), budget=KEPT, heal=heal)
    assert found.verdict == "fail"
    assert {"black_hole", "return"} == {r.name for r in found.rows if r.state == "fail"}


# -- what was seen -------------------------------------------------------------------------------------------------


def test_an_l4_never_withdraws_or_a_drain_closes_only_listeners() -> None:
    act = drained(did_nothing="its neighbours still have its routes")
    found = verdict(*BUSY, connections=held(), budget=DRAIN, planned=True, act=act)
    assert found.verdict == "fail"
    assert (
        "The action on us-l4-1 reported success and did nothing: its neighbours still have its routes." in found.reason
    )


@pytest.mark.parametrize("ms", [1_500, 6_950, 360])
def test_a_heal_that_failed_hides_no_black_hole(ms: float) -> None:
    for heal in (
        Heal(ours_left="a filter"),
        Heal(missing="us-l4-1: down", back_ns=None),
        Heal(refused="us-l4-1 refused"),
    ):
        found = verdict(probes(ms), *BUSY[1:], budget=allows(black_hole=300), heal=heal)
        assert (found.verdict, row(found, "black_hole").state) == ("fail", "fail")


def test_no_connection_crossed_the_element() -> None:
    found = verdict(*BUSY, connections=held(touched=False), budget=KEPT)
    assert found.verdict == "unknown"
    assert "`broken` is 0 of 0, limit 0" in found.reason
    assert "unknown, since 0 connections crossed us-l4-1, 10 are needed" in found.reason
    idle = verdict(*IDLE, connections=held(touched=False), budget=KEPT, carries=False)
    assert (idle.verdict, idle.stood_by) == ("pass", True)


def test_one_flow_crossed_a_stack_that_speaks_http_only_and_a_hundred_connections() -> None:
    ping = probes(samples=9, udp=False)
    found = verdict(ping, syns(), requests(), connections=held(of=100), budget=KEPT)
    assert found.verdict == "pass"


def test_two_targets_of_one_scenario_count_both() -> None:
    assert Outcomes(frozenset({"fail", "pass"})).exit_code == FAIL


def test_a_test_of_the_users_own_failed() -> None:
    assert Outcomes(frozenset({"pass"})).exit_code == PASS
    assert Outcomes(frozenset({"pass"}), went_wrong=True).exit_code == UNKNOWN


def test_a_vrrp_address_stays_on_the_other_node() -> None:
    """Legal without preemption: nothing of theirs is missing."""
    assert verdict(*BUSY, connections=held(), budget=KEPT, heal=Heal()).verdict == "pass"


# -- the order in which a verdict is decided -----------------------------------------------------------------------

DECISIVE: tuple[tuple[str, dict[str, object], str, str], ...] = (
    ("refused", {"refused": "refused to drain: exit 1"}, "fail", "us-l4-1 refused to drain: exit 1."),
    ("not bitten", {"not_bitten": "it did not bite"}, "unknown", "it did not bite"),
    ("row", {}, "fail", "black_hole was 400 ms"),
    ("did nothing", {"did_nothing": "it carries new flows"}, "fail", "did nothing: it carries new flows"),
    ("let go", {"let_go": "it sent a frame"}, "unknown", "it sent a frame"),
)


@pytest.mark.parametrize("first", range(len(DECISIVE)))
def test_the_first_that_applies_decides(first: int) -> None:
    """Everything from one rule on applies: that rule is the verdict and its reason."""
    act: dict[str, object] = {}
    for _, more, _, _ in DECISIVE[first:]:
        act |= more
    lost_ms = 400 if first <= 2 else 0
    found = verdict(
        probes(lost_ms), *BUSY[1:], connections=held(), budget=KEPT, act=Act(action=True, **act)  # type: ignore[arg-type]
    )  # fmt: skip
    _, _, word, said = DECISIVE[first]
    assert found.verdict == word
    assert said in found.reason


def late(**more: object) -> Judged:
    act = Act(action=True, refused="took 6 s to drain, 5 s are allowed", late=True)
    return judge(trial(*BUSY, connections=held(), budget=DRAIN, planned=True, act=act, **more))


def test_an_action_that_is_late_on_a_starved_lab_is_unknown_and_fail_anywhere_else() -> None:
    assert late().verdict == "fail"
    for doubt, word in ((starved(), "unknown"), (starved(after_heal=True), "fail"), (stall(60), "fail")):
        found = late(doubts=(doubt,))
        assert found.verdict == word
        assert "us-l4-1 took 6 s to drain" in found.reason


def test_a_fault_that_let_go_later_keeps_its_broken_limits() -> None:
    found = verdict(probes(400), *BUSY[1:], connections=held(), budget=KEPT, act=Act(let_go="a frame left it"))
    assert found.verdict == "fail"


@pytest.mark.parametrize("silent", [("eu-client → web 203.0.113.10",)])
def test_who_did_not_answer_in_the_control_window_is_named(silent: tuple[str, ...]) -> None:
    found = verdict(*BUSY, connections=held(), budget=KEPT, silent=silent)
    assert found.verdict == "unknown"
    assert "eu-client → web 203.0.113.10" in found.reason
    assert "us-l4-1" in found.reason


def test_a_class_without_a_limit_is_not_judged_but_a_loss_elsewhere_is() -> None:
    found = verdict(*BUSY, connections=held())
    assert found.verdict == "unknown"
    assert "The contract has no budget for kill-node: measured, not judged." in found.reason
    elsewhere = verdict(*BUSY, probes(10, touched=False))
    assert elsewhere.verdict == "fail"
    assert "us-l4-1 broke what nobody allowed: elsewhere.black_hole was 10 ms, limit 0 ms" in elsewhere.reason


def test_who_promises_others_alone_is_judged_by_that() -> None:
    budget = allows(elsewhere=allows(black_hole=0))
    assert verdict(probes(9_000, open=True), probes(touched=False), budget=budget).verdict == "pass"
    assert verdict(probes(), probes(10, touched=False), budget=budget).verdict == "fail"
    assert verdict(probes(), budget=budget).verdict == "unknown"
    assert verdict(probes(touched=False), budget=budget, carries=False).verdict == "unknown"
    assert verdict(probes(400, touched=False, open=True), budget=budget, carries=False).verdict == "unknown"


def test_kin_and_the_time_it_was_watched_are_told_in_every_verdict() -> None:
    for ms, doubts, word in ((0, (), "pass"), (400, (), "fail"), (310, (stall(60),), "unknown")):
        made = trial(probes(ms), *BUSY[1:], connections=held(), budget=KEPT, doubts=doubts, watched="Watched for 20 s.")
        found = judge(replace(made, fault="freeze-node", judging=(Judging("kill-node", KEPT, kin=True),)))
        assert found.verdict == word
        assert "`freeze-node` has no budget and takes that of `kill-node`." in found.reason
        assert "Watched for 20 s." in found.reason


def test_requests_without_a_limit_take_that_of_new_connections_or_of_probes_and_the_report_says_so() -> None:
    for budget, key in ((allows(black_hole=300), "black_hole"), (allows(black_hole=900, new_fail=300), "new_fail")):
        for ms, word in ((0, "pass"), (400, "fail")):
            found = verdict(probes(), syns(), requests(ms), budget=budget)
            assert found.verdict == word
            assert f"`request_fail` has no limit and takes that of `{key}`." in found.reason


@pytest.mark.parametrize(("planned", "word"), [(False, "pass"), (True, "fail")])
def test_what_requests_fall_back_on_is_at_least_100_ms_unless_the_fault_is_planned(planned: bool, word: str) -> None:
    assert verdict(probes(), syns(), requests(50), budget=allows(black_hole=0), planned=planned).verdict == word


@pytest.mark.parametrize(
    ("waits", "word"),
    [
        ([19] * 100, "pass"),
        ([19] * 99 + [2_000], "pass"),
        ([19] * 98 + [21] * 2, "fail"),
        ([21] * 2, "fail"),
        ([21], "unknown"),
        ([19] * 99, "unknown"),
        ([], "unknown"),
    ],
)
def test_latency_is_a_percentile_from_a_hundred_on_and_two_break_it_before(waits: list[int], word: str) -> None:
    found = verdict(probes(), budget=allows(latency=20), until_heal=Loaded(tuple(ms * S // 1_000 for ms in waits)))
    assert found.verdict == word


@pytest.mark.parametrize(
    ("end", "broken", "word"), [("own", 30, "pass"), ("own", 0, "pass"), ("other", 1, "fail"), ("untold", 1, "unknown")]
)
def test_own_allows_what_ended_at_the_failed_element(end: str, broken: int, word: str) -> None:
    found = verdict(probes(), connections=held(broken, end=end), budget=allows(broken=OWN))  # type: ignore[arg-type]
    assert found.verdict == word


def test_a_break_after_the_heal_counts_from_the_event_to_the_end_alone() -> None:
    found = verdict(probes(), connections=held(1, part="after"), budget=allows(broken=NONE_BROKEN))
    assert [r.state for r in rows(found, "broken")] == ["ok"]
    assert [r.state for r in rows(found, "reversion.broken")] == ["fail"]
    assert found.verdict == "fail"


def test_losses_after_the_heal_have_the_same_limits() -> None:
    found = verdict(probes(after=7_300), syns(), budget=allows(black_hole=300))
    assert found.verdict == "fail"
    assert "reversion.black_hole was 7,300 ms, limit 300 ms" in found.reason


@pytest.mark.parametrize("sentence", ["SYNs were not sent.", "L4 probes were not sent.", "HTTP was not asked."])
def test_a_word_in_capitals_keeps_them_within_a_sentence(sentence: str) -> None:
    doubt = replace(stall(60), sentence=sentence)
    assert sentence in verdict(probes(310), budget=allows(black_hole=300), doubts=(doubt,)).reason
