"""By whose budgets a fault is judged, for how long it stands at most, and what a fault that stands still waits for."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.faults.base import FaultPlan
from scenarios.losses import Losses
from scenarios.standing_watch import (
    Watch,
    cap_of,
    judging_of,
    of_an_action_ns,
    return_limit_ns,
    told,
    watched_ns,
)
from scenarios.timers.model import Timer
from scenarios.timers.timers import Timers
from scenarios.verdict.ends import RETURN_AFTER_TIMER_NS, RETURN_NS
from tests.scenarios.lossy import STEP, Instruments, Prober
from tests.topologies.budget.made import read
from topologies.contract import Contract
from topologies.model import Endpoint, Link

MS = 1_000_000
S = 1_000 * MS
LINK = Link((Endpoint("a", "eth1"), Endpoint("b", "eth1")))


def cut(role: str | None, other: str | None, fault: str = "cut-link") -> FaultPlan:
    return FaultPlan(fault, str(LINK), role, (), f"Cut link {LINK}", f"link {LINK}", (LINK,), other_role=other)


def kill(role: str | None, fault: str = "kill-node") -> FaultPlan:
    return FaultPlan(fault, "b1", role, ("b1",), "Killed b1", "b1")


def names(contract: Contract, plan: FaultPlan) -> list[tuple[str, bool]]:
    return [(j.name, j.kin) for j in judging_of(contract, plan)]


# -- by whose budgets ----------------------------------------------------------------------------------------------


def test_a_node_is_judged_by_the_budget_of_its_role() -> None:
    contract = read("kill-node: {black_hole: 300ms}\nkill-node/l4: {black_hole: 200ms}")
    assert names(contract, kill("l4")) == [("kill-node/l4", False)]
    assert names(contract, kill("client")) == [("kill-node", False)]
    assert names(contract, kill(None)) == [("kill-node", False)]


def test_a_class_without_a_budget_is_judged_by_that_of_its_kin_and_else_by_none() -> None:
    assert names(read("kill-node: {black_hole: 300ms}"), kill("l4", "freeze-process")) == [("kill-node", True)]
    assert names(read("drain: {black_hole: 0ms}"), kill("l4")) == []


BOTH = "cut-link/client: {black_hole: 100ms}\ncut-link/l4: {black_hole: 200ms}"


@pytest.mark.parametrize("ends", [("client", "l4"), ("l4", "client")])
def test_at_a_link_the_budgets_of_both_ends_hold(ends: tuple[str, str]) -> None:
    assert {name for name, _ in names(read(BOTH), cut(*ends))} == {"cut-link/client", "cut-link/l4"}


@pytest.mark.parametrize("ends", [("client", "l4"), ("l4", "client"), (None, "l4"), ("l4", None)])
def test_an_end_without_a_budget_leaves_it_to_the_other(ends: tuple[str | None, str | None]) -> None:
    assert names(read("cut-link/l4: {black_hole: 200ms}"), cut(*ends)) == [("cut-link/l4", False)]


@pytest.mark.parametrize("ends", [("client", "l4"), ("l4", "client")])
def test_a_link_is_watched_for_as_long_as_either_end_wants(ends: tuple[str, str]) -> None:
    watched = "cut-link/client: {black_hole: 100ms}\ncut-link/l4: {black_hole: 200ms, watch: 40s}"
    assert watched_ns(read(watched), cut(*ends)) == 40 * S
    assert watched_ns(read(BOTH), cut(*ends)) == 0


def test_two_ends_with_the_same_budget_are_judged_by_it_once() -> None:
    contract = read("cut-link: {black_hole: 200ms}")
    assert names(contract, cut("client", "l4")) == names(contract, cut("l4", "l4")) == [("cut-link", False)]


def test_a_link_between_nodes_without_any_role_is_judged_by_the_budget_of_its_class() -> None:
    assert names(read("cut-link: {black_hole: 200ms}"), cut(None, None)) == [("cut-link", False)]


def test_what_is_not_promised_at_one_end_is_left_to_the_other() -> None:
    contract = read("cut-link/client: not promised\ncut-link/l4: {black_hole: 200ms}")
    found = {j.name: j.budget.not_promised for j in judging_of(contract, cut("client", "l4"))}
    assert found == {"cut-link/client": True, "cut-link/l4": False}


# -- for how long it stands at most --------------------------------------------------------------------------------


def cap_s(contract: Contract, plan: FaultPlan, *, timers: float = 0, watch: float = 0) -> float:
    return cap_of(contract, plan, int(timers * S), int(watch * S), 20 * S, 5 * S) / S


def test_it_stands_at_most_20_s_its_longest_limit_and_5_s() -> None:
    assert cap_s(read("drain: {black_hole: 0ms}"), kill("l4")) == 25
    assert cap_s(read("kill-node: {black_hole: 300ms, new_fail: 1s}"), kill("l4")) == 26
    assert cap_s(read("kill-node: {black_hole: 300ms, recover: 10s}"), kill("l4")) == 35


def test_a_limit_for_what_was_not_touched_counts_as_well() -> None:
    """A loss elsewhere that lasts until the heal would else be shorter than its limit, however long it would have gone on."""
    assert cap_s(read("kill-node: {black_hole: 300ms, elsewhere: {black_hole: 40s}}"), kill("l4")) == 65


@pytest.mark.parametrize(("timers", "watch", "cap"), [(9, 0, 26), (90, 0, 96), (0, 40, 46), (30, 40, 46), (0, 12, 26)])
def test_a_timer_or_a_watch_that_is_longer_than_20_s_stands_in_for_them(
    timers: float, watch: float, cap: float
) -> None:
    assert cap_s(read("kill-node: {black_hole: 1s}"), kill("l4"), timers=timers, watch=watch) == cap


def test_the_limit_for_the_return_prolongs_no_fault() -> None:
    assert cap_s(read("kill-node: {black_hole: 1s, return: 4m}"), kill("l4")) == 26


def test_at_a_link_the_longest_limit_of_both_ends_counts() -> None:
    contract = read("cut-link/client: {black_hole: 3s}\ncut-link/l4: {black_hole: 7s}")
    assert cap_s(contract, cut("client", "l4")) == cap_s(contract, cut("l4", "client")) == 32


def test_the_limit_that_stands_in_for_requests_counts_where_there_are_any() -> None:
    """At least 100 ms: who allows 20 ms of black hole allows requests as much."""
    assert cap_s(read("kill-node: {black_hole: 20ms}"), kill("l4")) == 25.1
    assert cap_s(read("kill-node: {black_hole: 20ms}", "udp"), kill("l4")) == 25.02


# -- until when it has to serve again ------------------------------------------------------------------------------


def test_a_stack_has_to_serve_again_when_the_contract_says_else_by_its_timers() -> None:
    given_ = read("kill-node: {black_hole: 1s, return: 10s}")
    assert return_limit_ns(given_, kill("l4"), 0) == 10 * S
    silent = read("kill-node: {black_hole: 1s}")
    assert return_limit_ns(silent, kill("l4"), 9 * S) == RETURN_NS
    assert return_limit_ns(silent, kill("l4"), 90 * S) == 90 * S + RETURN_AFTER_TIMER_NS


def test_at_a_link_it_is_waited_for_as_long_as_either_end_allows() -> None:
    contract = read("cut-link/client: {black_hole: 3s, return: 10s}\ncut-link/l4: {black_hole: 7s, return: 20s}")
    assert return_limit_ns(contract, cut("client", "l4"), 0) == 20 * S


# -- what a fault that stands waits for ----------------------------------------------------------------------------


def watch(
    stood_s: float,
    instruments: Instruments | None = None,
    *,
    timers: Timers | None = None,
    watch_s: float = 0,
    ago_s: float = 5,
) -> Watch:
    """Of a fault that has stood for so long; the control window began `ago_s` before it."""
    event = time.monotonic_ns() - int(stood_s * S)
    losses = Losses(cast(Any, instruments or Instruments()), event - int(ago_s * S), event)
    return Watch(losses, event, timers or Timers(()), cast(Any, None), quiet_ns=5 * S, watch_ns=int(watch_s * S))


def ago(seconds: float) -> int:
    return time.monotonic_ns() - int(seconds * S)


def test_it_has_stood_for_long_enough_after_5_s_without_loss() -> None:
    assert watch(5.4).missing() == ""
    assert watch(5.2).missing() == "5 s without loss are not over", "an answer may still be under way"


def test_a_loss_begins_its_quiet_anew_and_says_whose_it_was() -> None:
    lost = Instruments({"requests of eu": ago(3), "probes of us": ago(9)})
    assert watch(20, lost).missing() == "5 s without loss are not over (probes of us, requests of eu)"
    assert watch(20, Instruments({"probes of us": ago(5.4)})).missing() == ""


def test_a_connection_that_broke_is_a_loss() -> None:
    assert watch(20, Instruments({"connections of eu": ago(2)})).missing().startswith("5 s without loss are not over")


def test_five_seconds_in_which_nothing_was_asked_are_not_quiet() -> None:
    assert "nothing was asked after" in watch(20, Instruments({"probes of us": ago(10)}, asked=ago(9))).missing()


def test_a_watch_of_the_contract_is_waited_for() -> None:
    assert watch(6, watch_s=12).missing() == "the contract watches for 12 s"
    assert watch(12.1, watch_s=12).missing() == ""


def test_of_an_action_is_watched_for_8_s_after_its_exit_or_as_long_as_the_contract_says() -> None:
    assert of_an_action_ns(0) == 8 * S
    assert of_an_action_ns(watched_ns(read("drain: {black_hole: 0ms, watch: 3s}"), kill("l4", "drain"))) == 3 * S


def test_where_answers_take_longer_at_rest_they_are_waited_for() -> None:
    slow = Instruments(grace_ns=2 * S)
    assert watch(6.9, slow).missing() == "5 s without loss are not over"
    assert watch(7.1, slow).missing() == ""


def test_where_connections_break_at_rest_one_that_breaks_ends_no_quiet() -> None:
    assert watch(12, Instruments({"connections of us": ago(13)})).missing() == ""
    start = time.monotonic_ns() - 12 * S
    rested = Instruments({"connections of us": start - S})
    seen = watch(12, rested)
    rested.losses = {"connections of us": ago(2)}
    assert seen.missing() == ""


@pytest.mark.parametrize("unread", [{"unanswered": ("l41: `vtysh` had no answer",)}, {"said": ("l41: include",)}])
def test_timers_that_could_not_be_read_are_told_whatever_others_are_known(unread: dict[str, tuple[str, ...]]) -> None:
    known = (Timer("edge", "hold time", 9 * S, "FRR"),)
    for timers in ((), known):
        said = told(Timers(timers, **unread), 5.3)
        assert "Not every timer of the stack could be read (l41: " in said
        assert said.endswith("watched for 5.3 s.")
    assert told(Timers(known), 5.3) == ""
    assert told(Timers(()), 5.3) == "No timer of the stack is known: watched for 5.3 s."


def test_a_timer_that_still_runs_is_named() -> None:
    running = Timers((Timer("edge", "health check of l7", 60 * S, "HAProxy"),))
    assert watch(6, timers=running).missing() == "still running: health check of l7 at edge (HAProxy)"
    over = Timers((Timer("edge", "health check of l7", 3 * S, "HAProxy"),))
    assert watch(6, timers=over).missing() == ""


# -- loss at rest --------------------------------------------------------------------------------------------------


def at_rest(lost: set[int], stood_s: float = 12) -> str:
    """What is missing where these probes were lost, of 500 in the control window and those of the fault after them."""
    start = time.monotonic_ns() - int((stood_s + 5) * S)
    last = max(lost)
    seen = Instruments({"probes of us": start + last * STEP}, probers={"us": Prober(start, frozenset(lost))})
    return watch(stood_s, seen).missing()


def test_loss_that_goes_on_as_at_rest_ends_no_quiet() -> None:
    twice_in_five_seconds = set(range(50, 1700, 250))
    assert at_rest(twice_in_five_seconds) == ""


@pytest.mark.parametrize("more", [set(range(1600, 1640)), set(range(1400, 1600, 5))], ids=["longer", "denser"])
def test_loss_that_is_longer_or_denser_than_at_rest_does(more: set[int]) -> None:
    assert at_rest({100, 300} | more).startswith("5 s without loss are not over")


def test_a_connection_that_broke_beside_loss_at_rest_is_a_loss_all_the_same() -> None:
    start = time.monotonic_ns() - 17 * S
    lost = frozenset(range(50, 1700, 250))
    seen = Instruments(
        {"probes of us": start + 50 * STEP, "connections of us": ago(2)}, probers={"us": Prober(start, lost)}
    )
    assert watch(12, seen).missing().startswith("5 s without loss are not over")


@given(at=st.integers(0, 30), stood=st.integers(0, 30))
def test_it_never_stands_longer_for_a_loss_than_until_its_quiet(at: int, stood: int) -> None:
    left = watch(stood + 0.05, Instruments({"probes of us": ago(at)}) if at <= stood else None).missing()
    since = min(at, stood) if at <= stood else stood
    assert (left == "") == (since > 5)
