"""Each limit beside its figure: which samples, doubts and series a row goes by, shown by the cases in which it once went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scenarios.verdict import Doubt, Heal, Load, Loaded, Lost, judge
from tests.scenarios.verdict.made import (
    MS,
    NONE_BROKEN,
    OWN,
    S,
    allows,
    dead_prober,
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
from topologies.budget import BrokenBudget, Budget, Judging

# -- samples -------------------------------------------------------------------------------------------------------


def test_few_udp_probes_are_helped_by_syns_also_where_pings_lost_something() -> None:
    seen = (probes(samples=3), probes(20, samples=5, udp=False), syns())
    assert row(verdict(*seen, budget=allows(black_hole=300)), "black_hole").state == "ok"


def test_a_syn_that_was_lost_shows_no_probe_that_crossed() -> None:
    failed = syns(5_000, samples=100)
    found = row(verdict(probes(samples=3), failed, budget=allows(black_hole=300)), "black_hole")
    assert (found.state, found.samples) == ("unknown", 3)


def test_few_udp_probes_of_which_one_is_lost_are_not_helped() -> None:
    found = row(verdict(probes(10, samples=5), syns(), budget=allows(black_hole=300)), "black_hole")
    assert (found.state, found.samples) == ("unknown", 5)


@pytest.mark.parametrize("few", [0, 1, 9])
def test_a_limit_that_stands_in_for_another_asks_for_no_samples(few: int) -> None:
    """No touched request at all gives no row; a few of them must not be worse."""
    seen = (probes(), syns(), requests(samples=few), requests(touched=False))
    assert verdict(*seen, budget=allows(black_hole=300, new_fail=300)).verdict == "pass"


def test_a_limit_that_stands_in_for_another_is_broken_by_a_few_requests_as_well() -> None:
    seen = (probes(), syns(), requests(350, samples=7))
    found = verdict(*seen, budget=allows(black_hole=300, new_fail=250))
    assert found.verdict == "fail"
    assert "request_fail was 350 ms, limit 250 ms" in found.reason


def test_a_limit_for_requests_of_which_few_crossed_is_unknown_where_the_contract_names_it() -> None:
    found = verdict(probes(), requests(samples=9), budget=allows(black_hole=300, request_fail=300))
    assert found.verdict == "unknown"
    assert "9 requests crossed us-l4-1, 10 are needed" in found.reason


# -- an element that carried nothing -------------------------------------------------------------------------------


def test_beside_an_idle_element_a_dead_prober_is_doubted_wherever_it_probed() -> None:
    seen = (probes(touched=False), syns(touched=False))
    found = verdict(*seen, budget=allows(black_hole=300), carries=False, doubts=(dead_prober(where="elsewhere"),))
    assert found.verdict == "unknown"


def test_beside_an_idle_element_the_load_is_judged_that_was_worse_off() -> None:
    found = verdict(
        budget=allows(load_fail=1), carries=False, until_heal=Loaded(load=Load(100, 0), load_elsewhere=Load(100, 5))
    )
    assert found.verdict == "fail"
    assert (
        verdict(budget=allows(load_fail=1), carries=False, until_heal=Loaded(load_elsewhere=Load(100, 0))).verdict
        == "pass"
    )


# -- loss that has not ended ---------------------------------------------------------------------------------------


def test_places_that_are_not_served_again_have_not_ended_whichever_key_is_named() -> None:
    found = verdict(probes(), requests(), connections=held(30, again=None, end="own"), budget=allows(broken=OWN))
    assert found.verdict == "fail"
    assert "ended was not over" in found.reason
    assert "30 places whose connection broke were not served again" in found.reason


def test_an_idle_connection_that_was_found_broken_before_the_heal_is_no_loss_without_end() -> None:
    idle = held(3, use="idle", end="own", again=None)
    found = verdict(probes(), requests(), connections=idle, budget=allows(broken=OWN, recover=300))
    assert found.verdict == "pass", found.reason


def test_a_failure_names_who_broke_the_limit_beyond_doubt_with_its_own_figure() -> None:
    doubted = probes(5_000, vantage="us-client")
    sure = probes(400, vantage="eu-client")
    doubt = starved(vantages=frozenset({"us-client"}))
    found = verdict(doubted, sure, budget=allows(black_hole=300), doubts=(doubt,))
    assert found.verdict == "fail"
    assert row(found, "black_hole").figure == 5_000 * MS
    assert row(found, "black_hole").by == f"400 ms of it beyond doubt: {sure.name}"
    alone = row(verdict(doubted, sure, budget=allows(black_hole=300)), "black_hole")
    assert alone.by == doubted.name


def test_an_open_loss_of_a_starved_lab_is_no_certain_one() -> None:
    seen = (probes(), requests(4_000, open=True))
    for budget in (allows(recover=300), allows(black_hole=300, recover=300, request_fail=300)):
        assert verdict(*seen, budget=budget).verdict == "fail"
        assert verdict(*seen, budget=budget, doubts=(starved(about=frozenset({"request"})),)).verdict == "unknown"


def test_an_open_loss_that_is_no_longer_than_at_rest_is_no_certain_one() -> None:
    seen = (probes(), requests(200, open=True))
    found = verdict(*seen, budget=allows(recover=300), doubts=(stall(200, no_pass=True),))
    assert found.verdict == "unknown"


def test_the_last_loss_may_be_a_sample_that_straddles_its_two_seconds() -> None:
    unclear = replace(requests(), fault=Lost(1_000, most_ns=50 * MS))
    assert row(verdict(probes(), unclear, budget=allows(recover=300)), "recover").state == "unknown"
    none = replace(requests(), fault=Lost(1_000, 1, 50 * MS, ended_ns=9 * S, least_ns=0))
    assert row(verdict(probes(), none, budget=allows(recover=300)), "recover").state == "unknown"


def test_places_that_a_doubt_is_about_are_none_of_the_recovery_that_is_known() -> None:
    seen = {"connections": held(3, again=900), "budget": allows(recover=300)}
    assert row(verdict(probes(), **seen), "recover").state == "fail"
    about = frozenset({"connection"})
    for doubt in (starved(about=about), stall(700, about=about)):
        assert row(verdict(probes(), **seen, doubts=(doubt,)), "recover").state == "unknown"
    hidden = verdict(probes(), connections=held(), budget=allows(recover=300), doubts=(dead_prober(about=about),))
    assert row(hidden, "recover").state == "unknown"


def test_what_never_came_back_took_at_least_as_long_as_the_fault_stood() -> None:
    found = verdict(probes(), connections=held(3, again=None), budget=allows(recover=300), stood_ns=25 * S)
    assert (row(found, "recover").figure, row(found, "recover").censored) == (25 * S, True)


@pytest.mark.parametrize(("ms", "word"), [(350, "fail"), (200, "unknown")])
def test_loss_that_a_schedule_cut_short_has_not_ended_only_if_it_already_exceeds_a_limit(ms: float, word: str) -> None:
    seen = (probes(), requests(ms, open=True))
    for budget in (allows(request_fail=299), allows(recover=299)):
        assert verdict(*seen, budget=budget, cut_short=True).verdict == word
        assert verdict(*seen, budget=budget).verdict == "fail"


def test_loss_that_a_schedule_cut_short_and_no_limit_is_for_is_unknown() -> None:
    found = verdict(
        probes(), requests(9_000, open=True), connections=held(), budget=allows(broken=NONE_BROKEN), cut_short=True
    )
    assert found.verdict == "unknown"
    assert "ended" in found.reason


# -- connections ---------------------------------------------------------------------------------------------------


def test_a_starved_vantage_hides_no_break_that_another_saw() -> None:
    there = (*held(2), *(replace(c, vantage="ap-client") for c in held(1)))
    doubt = starved(vantages=frozenset({"ap-client"}), about=frozenset({"connection"}))
    found = verdict(probes(), connections=there, budget=allows(broken=NONE_BROKEN), doubts=(doubt,))
    assert found.verdict == "fail"
    one = verdict(probes(), connections=there, budget=allows(broken=BrokenBudget("count", 2)), doubts=(doubt,))
    assert one.verdict == "unknown"


def test_where_idle_connections_may_be_anywhere_one_that_breaks_is_unknown_and_a_busy_one_is_broken() -> None:
    doubt = Doubt("openings", "Something was lost since they were opened.", "makes", about=frozenset({"idle"}))
    seen = {"budget": allows(broken=NONE_BROKEN), "doubts": (doubt,)}
    idle = (*held(use="idle"), *held())
    assert verdict(probes(), connections=idle, **seen).verdict == "pass"
    assert verdict(probes(), connections=(*held(1, use="idle"), *held()), **seen).verdict == "unknown"
    assert verdict(probes(), connections=(*held(use="idle"), *held(1)), **seen).verdict == "fail"


def test_one_that_broke_and_whose_end_cannot_be_told_is_unknown_and_says_so() -> None:
    found = verdict(probes(), connections=held(1, end="untold"), budget=allows(broken=OWN))
    assert found.verdict == "unknown"
    assert "of 1 that broke nobody can tell where they ended" in found.reason
    assert not found.disturbed


def test_as_many_as_broke_at_rest_are_no_certain_break() -> None:
    resting = replace(stall(0), count=1)
    for broken, word in ((1, "unknown"), (2, "fail")):
        seen = held(broken, again=20)
        assert verdict(probes(), connections=seen, budget=allows(broken=NONE_BROKEN), doubts=(resting,)).verdict == word


# -- the return ----------------------------------------------------------------------------------------------------


def test_who_cannot_see_knows_of_no_return() -> None:
    found = verdict(probes(), syns(), budget=allows(new_fail=300), doubts=(dead_prober(about=frozenset()),))
    assert row(found, "return").state == "unknown"


def test_a_return_is_no_more_exact_than_the_stall_in_it() -> None:
    back = Heal(back_ns=900 * MS)
    seen = {"heal": back, "budget": allows(new_fail=300, **{"return": 850})}
    assert row(verdict(syns(), **seen), "return").state == "fail"
    assert row(verdict(syns(), **seen, doubts=(stall(60),)), "return").state == "unknown"


def test_an_undo_that_was_refused_is_not_told_as_a_return_in_no_time() -> None:
    found = verdict(syns(), budget=allows(new_fail=300), heal=Heal(refused="us-l4-1 refused to undrain: exit 1"))
    assert "return was not before the end, limit 60,000 ms (us-l4-1 refused to undrain: exit 1)" in found.reason
    late = verdict(syns(), budget=allows(new_fail=300), heal=Heal(missing="us-l4-1: no route to host", back_ns=70 * S))
    assert "return was 70,000 ms, limit 60,000 ms (us-l4-1: no route to host)" in late.reason


# -- what was missing ----------------------------------------------------------------------------------------------


def test_what_is_short_of_samples_is_not_put_down_to_busy_cpus() -> None:
    slow = replace(stall(60), cpu=True)
    found = verdict(syns(samples=9), budget=allows(new_fail=300), doubts=(slow,))
    assert (found.verdict, found.disturbed) == ("unknown", False)
    assert verdict(syns(310), budget=allows(new_fail=300), doubts=(slow,)).disturbed


def test_both_the_doubts_and_the_missing_samples_are_said() -> None:
    found = verdict(syns(samples=3), budget=allows(new_fail=300), doubts=(dead_prober(),))
    assert "3 SYNs crossed us-l4-1, 10 are needed" in found.reason
    assert "The prober in eu-client is dead." in found.reason


def test_a_percentile_elsewhere_needs_its_hundred_requests_and_says_so() -> None:
    budget = allows(new_fail=300, elsewhere=allows(latency=20))
    few = verdict(syns(), budget=budget, until_heal=Loaded(latencies_elsewhere_ns=(MS,) * 99))
    assert few.verdict == "unknown"
    assert "99 requests were there, 100 are needed" in few.reason
    assert verdict(syns(), budget=budget, until_heal=Loaded(latencies_elsewhere_ns=(MS,) * 100)).verdict == "pass"


def test_after_the_heal_latency_and_load_are_held_to_their_limits_once_more() -> None:
    """A node that serves again before its caches are warm answers, and slowly."""
    slow, fast = (500 * MS,) * 100, (MS,) * 100
    budget, load = allows(latency=20), allows(load_fail=1)
    found = verdict(probes(), budget=budget, until_heal=Loaded(fast), after=Loaded(slow))
    assert found.verdict == "fail"
    assert "reversion.latency was 500 ms" in found.reason
    assert verdict(probes(), budget=budget, until_heal=Loaded(fast), after=Loaded(fast)).verdict == "pass"
    assert verdict(probes(), budget=budget, until_heal=Loaded(fast), after=Loaded((MS,) * 99)).verdict == "pass"
    assert verdict(probes(), budget=budget, until_heal=Loaded(fast), after=Loaded((500 * MS,) * 2)).verdict == "fail"
    whole = Load(100, 0)
    assert (
        verdict(probes(), budget=load, until_heal=Loaded(load=whole), after=Loaded(load=Load(100, 5))).verdict == "fail"
    )
    assert (
        verdict(probes(), budget=load, until_heal=Loaded(load=whole), after=Loaded(load=Load(9, 0))).verdict == "pass"
    )


def test_at_a_link_both_ends_are_judged_but_one_that_promises_nothing() -> None:
    both = (
        Judging("cut-link/l4", allows(new_fail=100), kin=False),
        Judging("cut-link", allows(new_fail=300), kin=False),
    )
    found = judge(replace(trial(syns(200)), judging=both))
    assert [r.state for r in rows(found, "new_fail")] == ["fail", "ok"]
    assert found.verdict == "fail"
    one = judge(
        replace(trial(syns(200)), judging=(Judging("cut-link/l4", Budget(not_promised=True), kin=False), both[1]))
    )
    assert (one.verdict, one.counts) == ("pass", True)
