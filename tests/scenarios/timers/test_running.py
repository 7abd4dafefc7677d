"""A timer runs until its length has passed or its router says otherwise, and what is over stays over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.timers.model import SECOND, Peer, Session, Timer
from scenarios.timers.running import QUEUED_NS, SETTLE_NS, heard, over_ns, running, to_ask, told_over_ns

EVENT = 1000 * SECOND
PEER = Peer("BGP", "10.0.0.2")
HOLD = Timer("a", "hold time", 9 * SECOND, "FRR", PEER)
RESTART = Timer("a", "restart time", 129 * SECOND, "FRR", PEER, restart=True)
CHECK = Timer("lb", "health check", 6 * SECOND, "HAProxy")
HELD = Session(PEER, True, 9 * SECOND)
GONE = Session(PEER, False, 9 * SECOND)

ages = st.none() | st.integers(0, 200 * SECOND)
sessions = st.none() | st.builds(
    Session, st.just(PEER), st.booleans(), st.just(9 * SECOND), ages, ages, st.just(0), st.booleans()
)
timers = st.builds(
    Timer,
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(0, 100 * SECOND),
    st.just("FRR"),
    st.sampled_from([None, PEER]),
    st.booleans(),
)
moments = st.lists(st.tuples(st.integers(0, 150 * SECOND), sessions), max_size=8).map(
    lambda m: sorted(m, key=lambda x: x[0])
)


def answered(at_ns: int, said: Session | None) -> Mapping[str, tuple[int, Mapping[Peer, Session]]]:
    return {"a": (at_ns, {said.peer: said} if said else {})}


@given(st.lists(timers, max_size=6), moments)
def test_what_is_over_stays_over_whatever_routers_say_later(
    found: list[Timer], told: list[tuple[int, Session | None]]
) -> None:
    known: dict[Timer, int] = {}
    before = set(found)
    for after_ns, said in told:
        known = heard(found, known, answered(EVENT + after_ns, said), EVENT)
        now = set(running(found, known, EVENT, EVENT + after_ns))
        assert now <= before
        before = now


@given(st.lists(timers, min_size=1, max_size=6), moments, st.integers(0, 100 * SECOND))
def test_nothing_runs_beyond_the_longest(
    found: list[Timer], told: list[tuple[int, Session | None]], later: int
) -> None:
    known: dict[Timer, int] = {}
    for after_ns, said in told:
        known = heard(found, known, answered(EVENT + after_ns, said), EVENT)
    end = EVENT + max(t.length_ns for t in found) + SETTLE_NS
    assert running(found, known, EVENT, end + later) == ()
    assert to_ask(found, known, EVENT, end + later) == ()


@given(st.lists(timers, max_size=6), st.integers(0, 200 * SECOND))
def test_without_an_answer_its_length_alone_tells(found: list[Timer], after_ns: int) -> None:
    still = running(found, {}, EVENT, EVENT + after_ns)
    assert set(still) == {t for t in found if after_ns < t.length_ns + SETTLE_NS}
    assert list(still) == sorted(still, key=lambda t: (-t.length_ns, t.node, t.what))


def test_a_silent_peer_that_is_still_held_up_keeps_the_hold_time_running() -> None:
    silent = replace(HELD, silent_ns=5 * SECOND)
    assert told_over_ns(HOLD, silent, EVENT + 5 * SECOND, EVENT) is None
    assert told_over_ns(HOLD, replace(HELD, silent_ns=None), EVENT + 5 * SECOND, EVENT) is None
    queued = replace(HELD, silent_ns=5 * SECOND - QUEUED_NS)
    assert told_over_ns(HOLD, queued, EVENT + 5 * SECOND, EVENT) is None, "what was on its way is no sign of life"


@pytest.mark.parametrize("timer", [HOLD, RESTART])
def test_a_peer_that_was_heard_since_was_never_silenced(timer: Timer) -> None:
    at = EVENT + 5 * SECOND
    assert told_over_ns(timer, replace(HELD, silent_ns=SECOND), at, EVENT) == at


def test_a_session_that_ended_early_ends_its_timer_once_its_end_could_show() -> None:
    """As when BFD noticed: 4 s later nothing is left to wait for."""
    at = EVENT + 4 * SECOND
    assert told_over_ns(HOLD, replace(GONE, ended_ns=3 * SECOND), at, EVENT) == EVENT + SECOND + SETTLE_NS
    for unknown in (GONE, None):
        assert told_over_ns(HOLD, unknown, at, EVENT) == at + SETTLE_NS


def test_routes_outlive_the_session_while_the_restart_time_runs() -> None:
    at = EVENT + 20 * SECOND
    assert told_over_ns(RESTART, replace(GONE, restarting=True, ended_ns=11 * SECOND), at, EVENT) is None
    assert told_over_ns(RESTART, replace(GONE, ended_ns=11 * SECOND), at, EVENT) == at + SETTLE_NS


def test_only_nodes_whose_answer_can_change_something_are_asked() -> None:
    other = replace(HOLD, node="b")
    assert to_ask([HOLD, RESTART, CHECK, other], {}, EVENT, EVENT + SECOND) == ("a", "b")
    assert to_ask([HOLD, CHECK, other], {HOLD: EVENT}, EVENT, EVENT + SECOND) == ("b",)
    assert to_ask([CHECK], {}, EVENT, EVENT) == ()


def test_a_health_check_runs_for_its_length() -> None:
    assert over_ns(CHECK, {}, EVENT) == EVENT + 6 * SECOND + SETTLE_NS
