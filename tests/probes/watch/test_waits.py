"""What nobody announced: hold timers, VRRP's adverts and health checks get their own names, and a FIB never gets their time."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.watch.decompose import Failure, FirstPacket, decompose
from probes.watch.event import TimelineEvent
from probes.watch.waits import CAUSED_NS, SETTLE_NS, UNSEEN_NS, Wait, explaining
from tests.probes.watch.made import patient
from tests.probes.watch.test_decompose import EVENTS, KILL, MS, VIP, down, ends, event, fib, sent

S = 1_000_000_000
HOLD = Wait("hold-timer", "edge-2", 6 * S, 9 * S, "hold time of BGP session with l4-1 at edge-2 (FRR)")
ADVERTS = Wait("advert-interval", "lb-2", 2_400 * MS, 3_600 * MS, "master down interval of VRRP instance 1", True)
CHECKS = Wait("health-check", "proxy", 2 * S, 6 * S, "health check of app-1 at proxy (HAProxy)")


def test_bfd_is_a_detection_and_what_follows_is_the_routers() -> None:
    stages = decompose([down(141, "edge-2"), fib(190, "edge-2")], KILL, FirstPacket(200 * MS), waits=[HOLD])
    assert ends(stages) == [("detection", 141, "edge-2"), ("fib", 190, "edge-2"), ("first-packet", 200, None)]


def test_a_hold_time_that_its_router_announces_is_a_hold_timer() -> None:
    told = event(7600, "edge-2", "bgp", "notification", peer="l4-1", detail="hold timer expired")
    stages = decompose([told, fib(7650, "edge-2")], KILL, FirstPacket(7658 * MS))
    assert ends(stages) == [("hold-timer", 7600, "edge-2"), ("fib", 7650, "edge-2"), ("first-packet", 7658, None)]
    other = replace(told, detail="cease: BFD down")
    assert decompose([other], KILL, FirstPacket(7658 * MS))[0].name == "detection"


def test_a_session_that_ends_without_a_word_waited_for_its_hold_time() -> None:
    """The last word of a router whose peer is dead stays in its own socket: nothing is heard of it."""
    stages = decompose([fib(7650, "edge-2")], KILL, FirstPacket(7658 * MS), waits=[HOLD])
    assert ends(stages) == [("hold-timer", 7650, "edge-2"), ("first-packet", 7658, None)]
    assert stages[0].detail == f"{HOLD.told}; fib replace {VIP}"


def test_one_edge_without_bfd_waits_for_its_own_hold_time() -> None:
    """The other edge noticed at once, and its words came along: they made nothing change at this one."""
    seen = [down(146, "edge-1"), fib(180, "edge-1"), sent(150, "edge-1", "transit"), fib(6950, "edge-2")]
    alone = decompose(seen, KILL, FirstPacket(6960 * MS), waits=[HOLD])
    assert ends(alone) == [("hold-timer", 6950, "edge-2"), ("first-packet", 6960, None)]
    echoed = [*seen, sent(160, "transit", "edge-2", what="update")]
    assert ends(decompose(echoed, KILL, FirstPacket(6960 * MS), waits=[HOLD])) == ends(alone)


def test_without_a_timer_that_fits_it_is_unexplained_and_never_the_fibs() -> None:
    seen = [down(146, "edge-1"), sent(150, "edge-1", "transit"), fib(6950, "edge-2")]
    for waits in ([], [replace(HOLD, node="edge-1")], [replace(HOLD, longest_ns=5 * S, shortest_ns=3 * S)], [CHECKS]):
        stages = decompose(seen, KILL, FirstPacket(6960 * MS), waits=waits)
        assert ends(stages) == [("unexplained", 6950, "edge-2"), ("first-packet", 6960, None)]
    told = [*seen, sent(160, "transit", "edge-2")]
    names = [stage.name for stage in decompose(told, KILL, FirstPacket(6960 * MS))]
    assert names == ["detection", "withdrawal", "unexplained", "first-packet"], "a word explains two seconds at most"


def test_a_change_that_comes_after_the_wait_is_over_keeps_its_own_time() -> None:
    stages = decompose([fib(9400, "edge-2")], KILL, FirstPacket(9410 * MS), waits=[HOLD])
    assert ends(stages) == [("hold-timer", 9000, "edge-2"), ("fib", 9400, "edge-2"), ("first-packet", 9410, None)]
    assert stages[0].acc_ns == 3 * S, "it may have been over since the last keepalive that could have been heard"


@pytest.mark.parametrize(
    "taken",
    [
        event(3480, "lb-2", "link", "address-added", interface="eth1", prefix=VIP),
        event(3490, "transit", "neighbour", "reachable", detail="10.9.0.1 at 02:00:00:00:00:02", interface="eth2"),
    ],
)
def test_vrrp_behind_a_switch_waited_for_adverts(taken: TimelineEvent) -> None:
    """No route changes: the backup takes the address, and its neighbours hear of it."""
    kill = Failure(0, nodes=frozenset({"lb-1"}))
    noise = event(900, "transit", "neighbour", "failed", detail="10.9.0.7")
    stages = decompose([noise, taken], kill, FirstPacket(3520 * MS, 0, "client"), waits=[CHECKS, ADVERTS])
    assert [(stage.name, stage.node) for stage in stages] == [
        ("advert-interval", taken.node),
        ("first-packet", "client"),
    ]
    assert stages[0].detail.startswith(ADVERTS.told)


def test_flows_that_follow_a_takeover_late_were_kept_by_something_else() -> None:
    kill = Failure(0, nodes=frozenset({"lb-1"}))
    taken = event(3480, "lb-2", "link", "address-added", interface="eth1", prefix=VIP)
    names = [s.name for s in decompose([taken], kill, FirstPacket(9 * S), waits=[ADVERTS])]
    assert names == ["advert-interval", "unexplained"]
    early = replace(taken, t_ns=400 * MS)
    assert [s.name for s in decompose([early], kill, FirstPacket(9 * S), waits=[ADVERTS])] == ["unexplained"]


def test_a_health_check_is_told_by_its_agent_or_by_its_timer() -> None:
    kill = Failure(0, nodes=frozenset({"app-1"}))
    told = event(4200, "proxy", "haproxy", "unhealthy", detail="app-1 did not answer")
    assert ends(decompose([told], kill, FirstPacket(4210 * MS)))[0] == ("health-check", 4200, "proxy")
    silent = decompose([], kill, FirstPacket(4210 * MS, 0, "client"), waits=[CHECKS])
    assert ends(silent) == [("health-check", 4210, "proxy"), ("first-packet", 4210, "client")]


def test_nothing_that_was_seen_explains_nothing() -> None:
    (only,) = decompose([], KILL, FirstPacket(7658 * MS, 0, "client"))
    assert (only.name, only.node) == ("unexplained", "client")
    assert [s.name for s in decompose([], KILL, FirstPacket(UNSEEN_NS))] == ["first-packet"]


def test_of_several_the_wait_that_ends_nearest_is_meant() -> None:
    longer = replace(HOLD, longest_ns=12 * S)
    assert explaining([longer, HOLD], 8 * S) == HOLD
    assert explaining([HOLD], 6 * S - 1) is None
    assert explaining([HOLD], 10 * S + 1) is None
    assert explaining([HOLD], 8 * S, "edge-1") is None


WAITS = st.builds(
    Wait,
    name=st.sampled_from(["hold-timer", "restart-timer", "advert-interval", "health-check"]),
    node=st.sampled_from(["edge-1", "edge-2", "transit"]),
    shortest_ns=st.integers(0, 5 * S),
    longest_ns=st.integers(5 * S, 9 * S),
    takes_over=st.booleans(),
)


@patient
@given(st.lists(EVENTS, max_size=12), st.lists(WAITS, max_size=4), st.integers(0, 12 * S), st.integers(1, 40 * MS))
def test_stages_always_add_up_and_no_route_has_time_that_nothing_gave_it(
    events: list[TimelineEvent], waits: list[Wait], after: int, scale: int
) -> None:
    spread = [replace(e, t_ns=e.t_ns * scale) for e in events]
    stages = decompose(spread, KILL, FirstPacket(after), waits=waits)
    assert stages[0].start_ns == 0
    assert all(one.end_ns == other.start_ns for one, other in itertools.pairwise(stages))
    assert all(s.start_ns <= s.end_ns for s in stages)
    assert stages[-1].end_ns == after
    for number, stage in enumerate(stages):
        most = {"withdrawal": CAUSED_NS, "fib": CAUSED_NS, "first-packet": SETTLE_NS}.get(stage.name, after)
        if stage.name in ("withdrawal", "fib") and not number:
            most = UNSEEN_NS
        assert stage.end_ns - stage.start_ns <= most
