"""Every way in which the instrument can lie has a check, which fires when it does and keeps still when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.trust import (
    STARVED,
    ConnectionsReading,
    ProberReading,
    TrustCheck,
    TrustInput,
    WakeupsReading,
    check_trust,
    short_of_cpu,
    trusted,
)

MS = 1_000_000
PROBER = ProberReading(
    vantage="eu-client",
    alive=True,
    heartbeat_age_ns=90 * MS,
    interval_ns=10 * MS,
    lateness_p99_ns=MS // 10,
    lateness_max_ns=3 * MS,
    stall_ns=2 * MS,
    answered=100_000,
    not_sent=0,
    socket_drops=0,
    missing_stamps=0,
    clock_step_ns=0,
)
CONNECTIONS = ConnectionsReading(
    vantage="eu-client", alive=True, heartbeat_age_ns=90 * MS, max_lag_ns=5 * MS, interval_ns=500 * MS
)
WAKEUPS = WakeupsReading(alive=True, lateness_p99_ns=MS, stall_ns=8 * MS)
WELL = TrustInput(
    probers=(PROBER, replace(PROBER, vantage="us-client")),
    connections=(CONNECTIONS,),
    control_lost=0,
    control_broken=0,
    wakeups=WAKEUPS,
    under_way_ns=4 * MS,
    late_answer_ns=30 * MS,
    requesters=(replace(PROBER, interval_ns=50 * MS), replace(PROBER, interval_ns=50 * MS, vantage="us-client")),
    silenced=(),
)


def prober(**changes: object) -> TrustInput:
    return replace(WELL, probers=(PROBER, replace(PROBER, vantage="us-client", **changes)))  # type: ignore[arg-type]


def requester(**changes: object) -> TrustInput:
    first, second = WELL.requesters
    return replace(WELL, requesters=(first, replace(second, **changes)))  # type: ignore[arg-type]


def connector(**changes: object) -> TrustInput:
    return replace(WELL, connections=(replace(CONNECTIONS, **changes),))  # type: ignore[arg-type]


def wakeups(**changes: object) -> TrustInput:
    return replace(WELL, wakeups=replace(WAKEUPS, **changes))  # type: ignore[arg-type]


def only(given: TrustInput, name: str) -> TrustCheck:
    return next(c for c in check_trust(given) if c.check == name)


def test_an_instrument_that_is_well_is_trusted() -> None:
    checks = check_trust(WELL)
    assert trusted(checks), [c.sentence for c in checks if not c.ok]
    assert len({c.check for c in checks}) == len(checks)


FIRES = [
    ("prober", prober(alive=False)),
    ("prober", prober(heartbeat_age_ns=1001 * MS)),
    ("prober", replace(WELL, probers=())),
    ("lateness", prober(lateness_p99_ns=10 * MS + 1)),
    ("lateness", prober(lateness_p99_ns=None)),
    ("lateness", prober(interval_ns=MS, lateness_p99_ns=2 * MS)),
    ("stall", prober(stall_ns=50 * MS + 1)),
    ("lab-lateness", wakeups(lateness_p99_ns=20 * MS + 1)),
    ("lab-watch", wakeups(lateness_p99_ns=None)),
    ("lab-watch", wakeups(stall_ns=None)),
    ("lab-watch", wakeups(alive=False)),
    ("lab-stall", wakeups(stall_ns=50 * MS + 1)),
    ("lab-bfd", replace(WELL, silenced=("a with b", "b with a"))),
    ("under-way", replace(WELL, under_way_ns=50 * MS + 1)),
    ("late-answers", replace(WELL, late_answer_ns=300 * MS + 1)),
    ("harness-loss", prober(not_sent=1)),
    ("socket-drops", prober(socket_drops=1)),
    ("stamps", prober(missing_stamps=2_001)),
    ("clock", prober(clock_step_ns=MS + 1)),
    ("connector", connector(alive=False)),
    ("connector", connector(heartbeat_age_ns=1001 * MS)),
    ("connector-lag", connector(max_lag_ns=501 * MS)),
    ("connector-lag", connector(max_lag_ns=1001 * MS, interval_ns=2500 * MS)),
    ("control-loss", replace(WELL, control_lost=1)),
    ("control-broken", replace(WELL, control_broken=1)),
    ("requester", requester(alive=False)),
    ("requester", requester(heartbeat_age_ns=1001 * MS)),
    ("requester-lateness", requester(lateness_p99_ns=50 * MS + 1)),
    ("requester-lateness", requester(lateness_p99_ns=None)),
    ("requester-stall", requester(stall_ns=50 * MS + 1)),
    ("requester-loss", requester(not_sent=1)),
]


@pytest.mark.parametrize(("name", "given"), FIRES)
def test_a_check_fires_and_trust_is_gone(name: str, given: TrustInput) -> None:
    assert not only(given, name).ok
    assert not trusted(check_trust(given))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("prober", prober(heartbeat_age_ns=1000 * MS)),
        ("lateness", prober(lateness_p99_ns=10 * MS)),
        ("lateness", prober(lateness_max_ns=300 * MS)),
        ("stall", prober(stall_ns=50 * MS)),
        ("lab-lateness", wakeups(lateness_p99_ns=20 * MS)),
        ("lab-stall", wakeups(stall_ns=50 * MS)),
        ("lab-watch", WELL),
        ("lab-bfd", replace(WELL, silenced=())),
        ("under-way", replace(WELL, under_way_ns=50 * MS)),
        ("late-answers", replace(WELL, late_answer_ns=300 * MS)),
        ("harness-loss", WELL),
        ("socket-drops", WELL),
        ("stamps", prober(missing_stamps=2_000)),
        ("clock", prober(clock_step_ns=MS)),
        ("connector", connector(heartbeat_age_ns=1000 * MS)),
        ("connector-lag", connector(max_lag_ns=500 * MS)),
        ("control-loss", WELL),
        ("control-broken", WELL),
        ("requester", requester(heartbeat_age_ns=1000 * MS)),
        ("requester-lateness", requester(lateness_p99_ns=50 * MS)),
        ("requester-stall", requester(stall_ns=50 * MS)),
        ("requester-loss", WELL),
    ],
)
def test_a_check_keeps_still_at_its_limit(name: str, given: TrustInput) -> None:
    assert only(given, name).ok
    assert trusted(check_trust(given))


def test_every_check_has_a_case_in_which_it_fires() -> None:
    assert {name for name, _ in FIRES} == {c.check for c in check_trust(WELL)}


def test_a_step_a_scenario_does_not_have_is_not_checked() -> None:
    given = replace(
        WELL, wakeups=None, under_way_ns=None, late_answer_ns=None, requesters=(), connections=(), silenced=None
    )
    names = {c.check for c in check_trust(given)}
    assert not any(name.startswith(("lab-", "under-", "late-", "requester", "connector")) for name in names)
    assert trusted(check_trust(given))


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (WELL, False),
        (prober(lateness_p99_ns=11 * MS), True),
        (wakeups(lateness_p99_ns=21 * MS), True),
        (wakeups(stall_ns=51 * MS), True),
        (wakeups(alive=False), False),  # nobody starts it again
        (replace(WELL, under_way_ns=60 * MS), True),
        (replace(WELL, late_answer_ns=900 * MS), True),
        (replace(wakeups(lateness_p99_ns=11 * MS), control_lost=3), True),
        (connector(max_lag_ns=501 * MS), True),
        (replace(prober(lateness_p99_ns=11 * MS), control_lost=3, control_broken=1), True),
        (replace(prober(lateness_p99_ns=6 * MS), control_lost=3), True),
        (replace(prober(lateness_p99_ns=5 * MS), control_lost=3), False),  # may be the network's own
        (requester(lateness_p99_ns=51 * MS), True),
        (requester(not_sent=1), True),
        (requester(alive=False), False),
        (prober(alive=False), False),
    ],
)
def test_cpus_are_short_where_something_shows_it_and_nowhere_else(given: TrustInput, again: bool) -> None:
    assert short_of_cpu(check_trust(given)) is again


def test_every_check_that_fails_of_too_little_cpu_is_one_that_there_is() -> None:
    assert {name for name, _ in FIRES} >= STARVED


def test_no_checks_are_no_trust() -> None:
    assert not trusted(())


def test_sentences_name_the_vantage_and_the_figures() -> None:
    assert only(prober(not_sent=42), "harness-loss").sentence == (
        "42 probes were not sent by the harness itself: 42 at us-client."
    )
    late = only(prober(lateness_p99_ns=12 * MS), "lateness")
    assert late.sentence.startswith("Probes left too late: p99 12 ms late (us-client)")
    assert (late.value, late.limit, late.unit) == (12.0, 10.0, "ms")
