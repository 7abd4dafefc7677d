"""Timers that were read before an act, as waits that explain silence after it; these tests know timers and no lab."""

from __future__ import annotations

import pytest

from probes.watch import TimelineEvent
from probes.watch.waits import Wait
from scenarios.causes import stages, waits_of
from scenarios.timers.model import SECOND, Peer, Session, Timer, session_timers
from tests.scenarios.made import CLOCK, EVENT, HEAL, PLAN, STEP, asked, clean, measured

PEER = Peer("BGP", "10.0.0.1")


def told(when: int, what: str, detail: str = "") -> TimelineEvent:
    return TimelineEvent(when * STEP, STEP // 10, "l4-2", "l4", what, detail)


# Checks find the dead process, it is out of the table; long afterwards it is back.
CRASHED = [told(EVENT + 20, "unhealthy", PLAN.target), told(EVENT + 21, "table"), told(HEAL - 20, "table")]


def test_where_only_requests_failed_the_time_goes_until_one_is_answered_again() -> None:
    asking = asked(range(EVENT, EVENT + 30), took_ns=STEP // 4)
    found = stages(PLAN, CLOCK, clean(requests=[asking]), (), CRASHED)
    assert [s.name for s in found] == ["health-check", "fib", "first-packet"]
    assert found[-1].end_ns == (EVENT + 30) * STEP + STEP // 4
    assert found[-1].node == "us"


def test_of_a_stack_that_answers_no_probe_requests_tell_where_the_time_went() -> None:
    only = measured(requests=[asked(range(EVENT, EVENT + 30), took_ns=STEP // 4)])
    found = stages(PLAN, CLOCK, only, (), CRASHED)
    assert [s.name for s in found] == ["health-check", "fib", "first-packet"]
    assert stages(PLAN, CLOCK, measured(requests=[asked(range(EVENT, HEAL))]), (), CRASHED) == ()
    assert stages(PLAN, CLOCK, measured(requests=[asked(touched=False)]), (), CRASHED) == ()


def test_where_requests_fail_until_the_heal_there_is_no_end_to_it() -> None:
    assert stages(PLAN, CLOCK, clean(requests=[asked(range(EVENT, HEAL))]), (), CRASHED) == ()


def test_where_nothing_failed_it_goes_until_the_last_change() -> None:
    found = stages(PLAN, CLOCK, clean(requests=[asked()]), (), CRASHED)
    assert found[-1].end_ns == (HEAL - 20) * STEP


def named(waits: tuple[Wait, ...]) -> list[tuple[str, int, int]]:
    return [(w.name, w.shortest_ns // SECOND, w.longest_ns // SECOND) for w in waits]


def test_a_session_explains_its_hold_time_and_how_long_its_routes_outlive_it() -> None:
    session = Session(PEER, held=True, hold_ns=9 * SECOND, restart_ns=120 * SECOND)
    waits = waits_of(session_timers("edge-2", session, "l4-1", "FRR"))
    assert named(waits) == [("hold-timer", 6, 9), ("restart-timer", 120, 129)]
    assert {w.node for w in waits} == {"edge-2"}
    assert waits[0].told == "hold time of BGP session with l4-1 (10.0.0.1) at edge-2 (FRR)"


@pytest.mark.parametrize(
    ("timer", "found"),
    [
        (
            Timer("lb-2", "master down interval", 3 * SECOND, "keepalived"),
            [("advert-interval", 2, 3), ("health-check", 1, 3)],
        ),
        (Timer("proxy", "health check of app-1", 6 * SECOND, "HAProxy"), [("health-check", 2, 6)]),
        (Timer("", "the contract's watch", 12 * SECOND, "contract"), []),
        (Timer("r", "dead interval", 40 * SECOND, "FRR", Peer("OSPF", "10.0.0.2")), [("hold-timer", 26, 40)]),
    ],
)
def test_what_other_timers_explain(timer: Timer, found: list[tuple[str, int, int]]) -> None:
    waits = waits_of([timer])
    assert named(waits) == found
    assert [w.takes_over for w in waits] == [w.name == "advert-interval" for w in waits]
