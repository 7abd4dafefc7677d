"""Every way in which the instrument can lie has a check, which fires when it does and keeps still when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.trust import (
    ConnectionsReading,
    ProberReading,
    TrustCheck,
    TrustInput,
    WakeupsReading,
    check_trust,
    disturbed,
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
    touched_flows=10,
    touched_connections=10,
    fault_effective=True,
    healed=True,
    cpu_pressure=40.0,
    wakeups=WAKEUPS,
    under_way_ns=4 * MS,
    late_answer_ns=30 * MS,
)


def prober(**changes: object) -> TrustInput:
    return replace(WELL, probers=(PROBER, replace(PROBER, vantage="us-client", **changes)))  # type: ignore[arg-type]


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
    ("lab-lateness", wakeups(lateness_p99_ns=10 * MS + 1)),
    ("lab-watch", wakeups(lateness_p99_ns=None)),
    ("lab-watch", wakeups(stall_ns=None)),
    ("lab-watch", wakeups(alive=False)),
    ("lab-stall", wakeups(stall_ns=50 * MS + 1)),
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
    ("fault", replace(WELL, fault_effective=False)),
    ("touched-flows", replace(WELL, touched_flows=9)),
    ("touched-connections", replace(WELL, touched_connections=9)),
    ("healed", replace(WELL, healed=False)),
    ("cpu", replace(prober(lateness_p99_ns=6_000_000), cpu_pressure=81.0)),
    ("cpu", replace(wakeups(lateness_p99_ns=6_000_000), cpu_pressure=81.0)),
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
        ("lab-lateness", wakeups(lateness_p99_ns=10 * MS)),
        ("lab-stall", wakeups(stall_ns=50 * MS)),
        ("lab-watch", WELL),
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
        ("fault", WELL),
        ("touched-flows", WELL),
        ("touched-connections", WELL),
        ("healed", WELL),
        ("cpu", replace(prober(lateness_p99_ns=6_000_000), cpu_pressure=80.0)),
        ("cpu", replace(prober(lateness_p99_ns=5_000_000), cpu_pressure=99.0)),
        ("cpu", replace(wakeups(lateness_p99_ns=5_000_000), cpu_pressure=99.0)),
    ],
)
def test_a_check_keeps_still_at_its_limit(name: str, given: TrustInput) -> None:
    assert only(given, name).ok
    assert trusted(check_trust(given))


def test_every_check_has_a_case_in_which_it_fires() -> None:
    assert {name for name, _ in FIRES} == {c.check for c in check_trust(WELL)}


def test_a_step_a_scenario_does_not_have_is_not_checked() -> None:
    given = replace(
        WELL,
        healed=None,
        fault_effective=None,
        cpu_pressure=None,
        touched_flows=None,
        touched_connections=None,
        wakeups=None,
        under_way_ns=None,
        late_answer_ns=None,
    )
    names = {c.check for c in check_trust(given)}
    assert names.isdisjoint({"healed", "fault", "cpu", "touched-flows", "touched-connections"})
    assert not any(name.startswith(("lab-", "under-", "late-")) for name in names)
    assert trusted(check_trust(given))


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (WELL, False),
        (prober(lateness_p99_ns=11 * MS), True),
        (wakeups(lateness_p99_ns=11 * MS), True),
        (wakeups(stall_ns=51 * MS), True),
        (wakeups(alive=False), False),  # nobody starts it again
        (replace(WELL, under_way_ns=60 * MS), True),
        (replace(WELL, late_answer_ns=900 * MS), True),
        (replace(wakeups(lateness_p99_ns=6 * MS), control_lost=3), True),
        (connector(max_lag_ns=501 * MS), True),
        (replace(prober(lateness_p99_ns=11 * MS), control_lost=3, control_broken=1), True),
        (replace(prober(lateness_p99_ns=6 * MS), control_lost=3), True),
        (replace(prober(lateness_p99_ns=5 * MS), control_lost=3), False),  # may be the network's own
        (replace(prober(lateness_p99_ns=11 * MS), fault_effective=False), True),  # commands starve as routers do
        (replace(WELL, late_answer_ns=400 * MS, healed=False), True),
        (replace(WELL, fault_effective=False), False),
        (replace(WELL, healed=False), False),
        (prober(alive=False), False),
        (replace(WELL, touched_flows=9), False),
    ],
)
def test_another_try_is_for_what_too_little_cpu_does_and_for_nothing_else(given: TrustInput, again: bool) -> None:
    assert disturbed(check_trust(given)) is again


def test_no_checks_are_no_trust() -> None:
    assert not trusted(())


def test_sentences_name_the_vantage_and_the_figures() -> None:
    assert only(prober(not_sent=42), "harness-loss").sentence == (
        "42 probes were not sent by the harness itself: 42 at us-client."
    )
    late = only(prober(lateness_p99_ns=12 * MS), "lateness")
    assert late.sentence.startswith("Probes left too late: p99 12 ms late (us-client)")
    assert (late.value, late.limit, late.unit) == (12.0, 10.0, "ms")
