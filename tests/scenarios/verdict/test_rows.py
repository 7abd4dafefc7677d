"""Each limit beside its figure: which samples, doubts and series a row goes by, shown by the cases in which it once went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scenarios.verdict import Heal, Load, Lost, judge
from tests.scenarios.verdict.made import (
    MS,
    NONE_BROKEN,
    OWN,
    S,
    allows,
    dead_prober,
    held,
    lost,
    probes,
    requests,
    row,
    rows,
    series,
    stall,
    starved,
    syns,
    trial,
    verdict,
)
from topologies.budget import BrokenBudget, Judging

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
    found = verdict(budget=allows(load_fail=1), carries=False, load=Load(100, 0), load_elsewhere=Load(100, 5))
    assert found.verdict == "fail"
    assert verdict(budget=allows(load_fail=1), carries=False, load_elsewhere=Load(100, 0)).verdict == "pass"
