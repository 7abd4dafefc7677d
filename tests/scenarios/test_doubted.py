"""Every way in which an instrument can lie makes exactly its doubt: what it does to a figure, to which rows, and at which vantage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import pytest

from probes.trust import STARVED, TrustCheck, TrustInput, check_trust
from scenarios.doubted import CONNECTIONS, CPU, EVERYTHING, PROBES, REQUESTS, doubt_of, doubts_of, ordinary_lateness_ns
from scenarios.verdict import Doubt, judge
from scenarios.verdict.doubts import About, Effect
from tests.probes.test_trust import FIRES, MS, WELL, connector, prober, requester, wakeups
from tests.scenarios.verdict.made import allows, held, probes, syns, trial

EVERYBODY: tuple[str, ...] = ()
US = ("us-client",)
EU = ("eu-client",)


@dataclass(frozen=True, slots=True)
class Case:
    """Readings of which one check fails, and the doubt that it makes; `width` in ms."""

    check: str
    given: TrustInput
    effect: Effect
    about: frozenset[About]
    vantages: tuple[str, ...]
    width: int


TABLE = [
    Case("prober", prober(alive=False), "hides", PROBES, US, 0),
    Case("prober", prober(heartbeat_age_ns=1001 * MS), "hides", PROBES, US, 0),
    Case("lateness", prober(lateness_p99_ns=None), "hides", PROBES, US, 0),
    Case("stall", prober(stall_ns=60 * MS), "widens", PROBES, US, 60),
    Case("harness-loss", prober(not_sent=3), "hides", PROBES, US, 0),
    Case("socket-drops", prober(socket_drops=1), "makes", PROBES, US, 0),
    Case("stamps", prober(missing_stamps=50_000), "hides", PROBES, US, 0),
    Case("clock", prober(clock_step_ns=7 * MS), "blurs", PROBES | REQUESTS, EVERYBODY, 0),
    Case("requester", requester(alive=False), "hides", REQUESTS, US, 0),
    Case("requester", requester(heartbeat_age_ns=1001 * MS), "hides", REQUESTS, US, 0),
    Case("requester-lateness", requester(lateness_p99_ns=None), "hides", REQUESTS, US, 0),
    Case("requester-stall", requester(stall_ns=60 * MS), "widens", REQUESTS, US, 60),
    Case("requester-loss", requester(not_sent=2), "hides", REQUESTS, US, 0),
    Case("connector", connector(alive=False), "hides", CONNECTIONS, EU, 0),
    Case("connector", connector(heartbeat_age_ns=1001 * MS), "hides", CONNECTIONS, EU, 0),
    Case("connector-lag", connector(max_lag_ns=501 * MS), "hides", CONNECTIONS, EU, 0),
    Case("lab-watch", wakeups(alive=False), "blurs", EVERYTHING, EVERYBODY, 0),
    Case("lab-lateness", wakeups(lateness_p99_ns=21 * MS), "makes", EVERYTHING, EVERYBODY, 0),
    Case("lab-stall", wakeups(stall_ns=55 * MS), "makes", EVERYTHING, EVERYBODY, 0),
    Case("lab-bfd", replace(WELL, silenced=("a with b",)), "makes", EVERYTHING, EVERYBODY, 0),
    Case("under-way", replace(WELL, under_way_ns=51 * MS), "makes", EVERYTHING, EVERYBODY, 0),
    Case("late-answers", replace(WELL, late_answer_ns=301 * MS), "makes", EVERYTHING, EVERYBODY, 0),
    Case(
        "control-loss", replace(WELL, control_lost=3, control_longest_ns=30 * MS), "widens", EVERYTHING, EVERYBODY, 30
    ),
    Case("control-broken", replace(WELL, control_broken=2), "widens", CONNECTIONS, EVERYBODY, 0),
]
LATE = ("lateness", "requester-lateness")
every = pytest.mark.parametrize("case", TABLE, ids=[f"{n} {case.check}" for n, case in enumerate(TABLE)])


def only(given: TrustInput, *, after_heal: bool = False) -> Doubt:
    _, (found,) = doubts_of(given, after_heal=after_heal)
    return found


# -- each fires ----------------------------------------------------------------------------------------------------


@every
def test_a_check_that_fails_makes_exactly_its_doubt(case: Case) -> None:
    found = only(case.given)
    assert (found.check, found.effect, found.about) == (case.check, case.effect, case.about)
    assert found.vantages == frozenset(case.vantages)
    assert found.width_ns == case.width * MS
    assert found.count == (2 if case.check == "control-broken" else 0)
    assert not found.after_heal
    assert found.sentence == next(c.sentence for c in check_trust(case.given) if c.check == case.check)


@every
def test_one_that_failed_after_the_heal_is_about_what_came_after_it(case: Case) -> None:
    assert only(case.given, after_heal=True) == replace(only(case.given), after_heal=True)


def test_the_table_has_every_check_that_there_is() -> None:
    assert {case.check for case in TABLE} == {c.check for c in check_trust(WELL)}
    assert {case.check for case in TABLE} == {name for name, _ in FIRES}


def test_the_table_has_every_sign_of_too_little_cpu() -> None:
    assert {case.check for case in TABLE} >= STARVED
    assert CPU <= STARVED
    assert set(LATE) == STARVED - CPU, (
        "lateness widens figures; where nothing was sent at all, CPUs are the least of it"
    )


@every
def test_only_what_too_little_cpu_may_have_done_is_worth_another_try(case: Case) -> None:
    assert only(case.given).cpu == (case.check in CPU)


@every
def test_only_loss_at_rest_keeps_the_whole_trial_from_passing(case: Case) -> None:
    assert only(case.given).no_pass == case.check.startswith("control-")


def test_what_they_are_about_are_rows_that_there_are() -> None:
    assert set(get_args(About)) >= (PROBES | REQUESTS | CONNECTIONS)


# -- and keeps still -----------------------------------------------------------------------------------------------


def test_an_instrument_that_is_well_is_not_doubted() -> None:
    checks, doubts = doubts_of(WELL)
    assert all(c.ok for c in checks)
    assert doubts == ()


@pytest.mark.parametrize(
    "given",
    [
        prober(lateness_p99_ns=11 * MS),
        prober(lateness_p99_ns=300 * MS, lateness_max_ns=900 * MS),
        requester(lateness_p99_ns=51 * MS),
        prober(stall_ns=50 * MS),
        prober(interval_ns=MS, lateness_p99_ns=2 * MS),
        wakeups(before_p99_ns=300 * MS),
    ],
)
def test_ordinary_lateness_makes_no_doubt(given: TrustInput) -> None:
    """It widens a figure that there is, and makes no loss out of none; the report shows the check all the same."""
    _, doubts = doubts_of(given)
    assert doubts == ()


def test_a_vantage_that_is_late_hides_nothing_of_one_that_sent_nothing() -> None:
    first, second = WELL.probers
    given = replace(WELL, probers=(replace(first, lateness_p99_ns=20 * MS), replace(second, lateness_p99_ns=None)))
    assert only(given).vantages == {second.vantage}


def test_without_any_prober_what_it_would_have_seen_is_hidden_everywhere() -> None:
    _, doubts = doubts_of(replace(WELL, probers=(), under_way_ns=None, late_answer_ns=None))
    assert {d.check for d in doubts} >= {"prober", "lateness"}
    assert all((d.effect, d.about, d.vantages) == ("hides", PROBES, frozenset()) for d in doubts)


def test_a_stack_without_http_has_no_requester_to_doubt() -> None:
    assert doubts_of(replace(WELL, requesters=(), connections=()))[1] == ()


# -- of several vantages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"alive": False}, {"not_sent": 1}, {"socket_drops": 1}, {"stall_ns": 60 * MS}, {"missing_stamps": 90_000}],
)
def test_what_fails_at_both_vantages_is_doubted_at_both(changes: dict[str, object]) -> None:
    both = replace(WELL, probers=tuple(replace(p, **changes) for p in WELL.probers))  # type: ignore[arg-type]
    assert only(both).vantages == {"eu-client", "us-client"}


def test_of_two_stalls_the_longer_widens() -> None:
    first, second = WELL.probers
    given = replace(WELL, probers=(replace(first, stall_ns=70 * MS), replace(second, stall_ns=60 * MS)))
    assert (only(given).width_ns, only(given).vantages) == (70 * MS, frozenset({"eu-client", "us-client"}))


def test_a_vantage_that_did_not_stall_is_as_exact_as_ever() -> None:
    _, doubts = doubts_of(prober(stall_ns=60 * MS))
    seen = (probes(330, vantage="eu-client"), probes(330, vantage="us-client"))
    rows = {s.vantage: judge(trial(s, budget=allows(black_hole=300), doubts=doubts)).rows[0].state for s in seen}
    assert rows == {"eu-client": "fail", "us-client": "unknown"}


# -- a lab short of CPU ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["lateness_p99_ns", "stall_ns"])
def test_a_lab_that_stood_still_for_longer_than_quiet_allows_for_tells_nothing(slow: str) -> None:
    assert only(wakeups(**{slow: 1000 * MS})).effect == "makes"
    assert only(wakeups(**{slow: 1001 * MS})).effect == "blurs"


def test_answers_later_than_quiet_allows_for_tell_nothing() -> None:
    assert only(replace(WELL, late_answer_ns=1000 * MS)).effect == "makes"
    assert only(replace(WELL, late_answer_ns=1001 * MS)).effect == "blurs"


def test_a_trial_on_a_lab_short_of_cpu_passes_by_what_it_kept_and_fails_by_nothing_it_lost() -> None:
    _, doubts = doubts_of(wakeups(lateness_p99_ns=45 * MS))
    seen = {"budget": allows(black_hole=300), "connections": held(), "doubts": doubts}
    kept = judge(trial(probes(160), syns(), **seen))
    assert kept.verdict == "pass", kept.reason
    assert "p99 45 ms late" in kept.reason
    broke = judge(trial(probes(6_950), syns(), **seen))
    assert (broke.verdict, broke.disturbed) == ("unknown", True)


# -- loss at rest --------------------------------------------------------------------------------------------------


def test_loss_at_rest_is_put_down_to_busy_cpus_only_beside_a_sign_of_them() -> None:
    alone = replace(WELL, control_lost=3, control_longest_ns=30 * MS)
    assert not only(alone).cpu
    beside = replace(prober(lateness_p99_ns=6 * MS), control_lost=3, control_longest_ns=30 * MS)
    assert only(beside).cpu
    before = replace(wakeups(before_p99_ns=11 * MS), control_lost=3, control_longest_ns=30 * MS)
    assert only(before).cpu, "short before the event, which nothing else tells"
    _, doubts = doubts_of(replace(wakeups(stall_ns=60 * MS), control_lost=3, control_longest_ns=30 * MS))
    assert all(d.cpu for d in doubts)


# -- how late ------------------------------------------------------------------------------------------------------


def test_the_lateness_of_who_is_not_doubted_widens_its_figures() -> None:
    first, second = WELL.probers
    assert ordinary_lateness_ns((first, replace(second, stall_ns=7 * MS))) == 7 * MS
    assert ordinary_lateness_ns(()) == 0


def test_a_stall_that_is_doubted_widens_once_and_not_twice() -> None:
    """A black hole of 400 ms against 300, with a stall of 60: at least 330 ms, which is too long."""
    given = prober(stall_ns=60 * MS)
    _, doubts = doubts_of(given)
    late = ordinary_lateness_ns(given.probers)
    made = trial(
        probes(400, vantage="us-client"), syns(vantage="us-client"), budget=allows(black_hole=300), connections=held(),
        doubts=doubts, lateness_ns={("probe", "fault"): late, ("syn", "fault"): late},
    )  # fmt: skip
    assert judge(made).verdict == "fail"
    (row,) = (r for r in judge(made).rows if (r.key, r.part) == ("black_hole", "fault"))
    assert row.range.low == pytest.approx((400 - 10 - 60 - 2) * MS)


# -- an impairment that did not do what it was asked ---------------------------------------------------------------


def test_an_impairment_that_failed_can_have_made_any_loss_and_hidden_any() -> None:
    check = TrustCheck("impairment", False, None, None, "", "a → b: delay 20 ms: it has ended.")
    assert doubt_of(check) == Doubt("impairment", check.sentence, "blurs")


def test_a_check_that_nobody_knows_hides_loss() -> None:
    check = TrustCheck("something-new", False, None, None, "", "It is wrong.")
    assert doubt_of(check) == Doubt("something-new", "It is wrong.", "hides")
