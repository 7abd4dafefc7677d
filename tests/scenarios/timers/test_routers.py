"""What FRR and BIRD say of their sessions is read as they mean it, and nothing that they may say brings the reading down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.timers import bird, frr
from scenarios.timers.model import SECOND, Peer, Session, Timer, session_timers
from tests.scenarios.timers.told import LINES, bird_protocols, bird_session, frr_bgp, frr_neighbour, frr_ospf

MS = 1_000_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*frr_neighbour(), "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


def only(sessions: tuple[Session, ...]) -> Session:
    assert len(sessions) == 1
    return sessions[0]


@given(hold=st.integers(0, 65535), read=st.integers(0, 600), up=st.booleans())
def test_frr_gives_back_hold_time_state_and_how_long_nothing_was_read(hold: int, read: int, up: bool) -> None:
    state = "Established" if up else "Idle"
    told = frr_bgp({"10.0.0.2": frr_neighbour(state=state, hold_ms=hold * 1000, read_ms=read * 1000)})
    found = frr.bgp_sessions(told)
    assert found.said == ()
    session = only(found.found)
    assert (session.peer, session.held, session.hold_ns) == (Peer("BGP", "10.0.0.2", "", "default"), up, hold * SECOND)
    assert session.silent_ns == (read + 1) * SECOND, "an age in whole seconds may be up to one more"


def test_frr_tells_when_a_session_ended_and_that_is_rounded_to_the_later() -> None:
    told = frr_bgp({"eth2": frr_neighbour(state="Idle", reset_ms=3000), "10.0.0.2": frr_neighbour()})
    ended, held = frr.bgp_sessions(told).found
    assert ended.peer == Peer("BGP", "", "eth2", "default"), "an unnumbered session is known by its interface"
    assert (ended.ended_ns, held.ended_ns) == (2 * SECOND, None)


@pytest.mark.parametrize(("restarts", "length"), [(True, 20), (False, 0)])
def test_frr_outlives_a_session_only_where_the_peer_restarts_gracefully(restarts: bool, length: int) -> None:
    """One that only helps others announces a restart time all the same."""
    told = frr_bgp({"10.0.0.2": frr_neighbour(restart_s=20, restarts=restarts)})
    assert only(frr.bgp_sessions(told).found).restart_ns == length * SECOND


@pytest.mark.parametrize("runs", [True, False])
def test_frr_tells_whether_the_restart_time_runs(runs: bool) -> None:
    told = frr_bgp({"10.0.0.2": frr_neighbour(state="OpenSent", restarting=runs)})
    assert only(frr.bgp_sessions(told).found).restarting is runs


@given(dead=st.integers(1, 65535), gone=st.integers(0, 65535))
def test_frr_gives_back_the_dead_interval(dead: int, gone: int) -> None:
    gone = min(gone, dead)
    session = only(frr.ospf_sessions(frr_ospf(dead_s=dead, due_ms=(dead - gone) * 1000)).found)
    assert session == Session(Peer("OSPF", "10.0.0.2", "eth1", "default"), True, dead * SECOND, silent_ns=gone * SECOND)


@given(
    hold=st.integers(1, 65535),
    left=st.integers(0, 65_535_000),
    address=st.sampled_from(["10.7.0.2", "2001:db8::2", "fe80::1%eth1"]),
)
def test_bird_gives_back_hold_time_and_what_is_left_of_it(hold: int, left: int, address: str) -> None:
    left = min(left, hold * 1000)
    text = bird_protocols([bird_session(hold=str(hold), left=f"{left / 1000:.3f}", address=address)])
    found = bird.bgp_sessions(text)
    plain, _, interface = address.partition("%")
    assert found.said == ()
    session = only(found.found)
    assert session == Session(Peer("BGP", plain, interface), True, hold * SECOND, silent_ns=hold * SECOND - left * MS)


def test_what_a_real_bird_said_is_read() -> None:
    """One session is up, one never came, and one protocol waits for neighbours from a range."""
    found = bird.bgp_sessions((Path(__file__).with_name("bird-2.0.12.txt")).read_text())
    assert found.said == ()
    up, never = found.found
    assert up == Session(
        Peer("BGP", "10.7.0.2"), True, 9 * SECOND, silent_ns=(9000 - 7852) * MS, restart_ns=120 * SECOND
    )
    assert never == Session(Peer("BGP", "10.7.0.77"), False, 0)


def test_bird_sessions_are_told_apart() -> None:
    down = bird_session(name="leaf2", address="10.7.0.3", established=False, restarting=True)
    up, gone = bird.bgp_sessions(bird_protocols([bird_session(restart="120"), down])).found
    assert (up.held, up.restart_ns, up.restarting) == (True, 120 * SECOND, False)
    assert (gone.held, gone.restart_ns, gone.restarting) == (False, 0, True)


def test_bird_lists_a_neighbour_that_only_helps_without_a_restart() -> None:
    assert only(bird.bgp_sessions(bird_protocols([bird_session()])).found).restart_ns == 0


@given(LINES)
def test_no_text_brings_a_reading_down(text: str) -> None:
    for told in (frr.bgp_sessions(text), frr.ospf_sessions(text), bird.bgp_sessions(text)):
        assert all(isinstance(s.hold_ns, int) for s in told.found)


@given(JSON)
def test_no_json_brings_a_reading_down(value: object) -> None:
    text = json.dumps({"default": {"10.0.0.2": value, "interfaces": value, "neighbors": value}})
    for told in (frr.bgp_sessions(text), frr.ospf_sessions(text), frr.bgp_sessions(json.dumps(value))):
        assert all(isinstance(s.hold_ns, int) for s in told.found)


@pytest.mark.parametrize("text", ["", "bgpd is not running", '{"default": ', "\x00"])
def test_what_is_no_list_of_sessions_is_said(text: str) -> None:
    for told in (frr.bgp_sessions(text), frr.ospf_sessions(text), bird.bgp_sessions(text)):
        assert told.found == ()
        assert len(told.said) == 1


def test_a_hold_timer_that_cannot_be_read_is_said() -> None:
    told = frr.bgp_sessions(frr_bgp({"10.0.0.2": frr_neighbour() | {"bgpTimerHoldTimeMsecs": "nine"}}))
    assert (told.found, len(told.said)) == ((), 1)
    assert "10.0.0.2" in told.said[0]
    text = bird.bgp_sessions(bird_protocols([bird_session(hold="nine")]))
    assert (text.found, len(text.said)) == ((), 1)
    assert "leaf1" in text.said[0]


def test_a_session_is_told_with_its_peer_and_its_lengths() -> None:
    session = Session(Peer("BGP", "fe80::1", "eth2"), True, 9 * SECOND, restart_ns=120 * SECOND)
    hold, restart = session_timers("a", session, "eu-edge-1", "FRR")
    assert str(hold) == "hold time of BGP session with eu-edge-1 (eth2) at a (FRR)"
    assert (hold.length_ns, restart.length_ns, restart.restart) == (9 * SECOND, 129 * SECOND, True)
    ospf = Session(Peer("OSPF", "10.0.0.2", "eth1"), True, 4 * SECOND)
    assert session_timers("a", ospf, "", "FRR") == (
        Timer("a", "dead interval of OSPF session with 10.0.0.2", 4 * SECOND, "FRR", ospf.peer),
    )


@pytest.mark.parametrize(("held", "hold"), [(False, 9), (True, 0)])
def test_a_session_that_is_down_or_has_no_hold_time_starts_nothing(held: bool, hold: int) -> None:
    assert session_timers("a", Session(Peer("BGP", "10.0.0.2"), held, hold * SECOND), "", "FRR") == ()
