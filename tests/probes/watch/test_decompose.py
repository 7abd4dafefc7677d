"""The stages of a failover: one chain of causes, without overlap, whose sum is the failover time."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.watch.decompose import Failure, FirstPacket, decompose
from probes.watch.event import TimelineEvent
from reports.evidence.schema import Stage
from tests.probes.watch.made import patient

MS = 1_000_000
VIP = "203.0.113.10/32"
ORDER = ("detection", "withdrawal", "fib", "first-packet")
NOTICES = ("detection", "health-check")
KILL = Failure(0, nodes=frozenset({"l4-1"}), destinations=frozenset({"203.0.113.10", "10.9.0.1"}))
DRAIN = replace(KILL, planned=True)


def event(ms: float, node: str, source: str, what: str, *, acc: float = 0, **more: str) -> TimelineEvent:
    return TimelineEvent(int(ms * MS), int(acc * MS), node, source, what, **more)


def down(ms: float, node: str, peer: str = "l4-1") -> TimelineEvent:
    return event(ms, node, "bfd", "down", peer=peer, interface="eth2")


def fib(ms: float, node: str, prefix: str = VIP, acc: float = 0) -> TimelineEvent:
    return event(ms, node, "fib", "replace", prefix=prefix, acc=acc)


def sent(ms: float, node: str, peer: str, prefix: str = VIP, what: str = "withdraw") -> TimelineEvent:
    return event(ms, node, "bgp", what, peer=peer, prefix=prefix)


def ends(stages: tuple[Stage, ...]) -> list[tuple[str, float, str | None]]:
    return [(stage.name, stage.end_ns / MS, stage.node) for stage in stages]


REMOTE = [down(141, "edge-1"), sent(202, "edge-1", "transit"), fib(252, "transit", acc=2)]
"""The edge notices, tells the transit, and the transit changes its way."""


def test_a_neighbour_that_notices_itself_needs_no_message() -> None:
    """As measured at the kill of an L4 node: each edge notices, and the flows of the later one are the last."""
    events = [
        down(141, "edge-2"),
        down(146, "edge-1"),
        sent(202.2, "edge-2", "transit", "10.1.3.1/32"),
        fib(202.3, "edge-2"),
        sent(207.3, "edge-1", "l4-2"),
        fib(207.6, "edge-1", acc=1),
        sent(252, "transit", "edge-1", "10.1.3.1/32"),
        fib(212, "transit", "10.1.3.1/32"),
    ]
    stages = decompose(events, KILL, FirstPacket(213 * MS, MS, "client"))
    assert ends(stages) == [("detection", 146, "edge-1"), ("fib", 207.6, "edge-1"), ("first-packet", 213, "client")]


def test_a_node_that_is_told_waits_for_the_message() -> None:
    stages = decompose(REMOTE, KILL, FirstPacket(260 * MS))
    assert ends(stages) == [
        ("detection", 141, "edge-1"),
        ("withdrawal", 202, "edge-1"),
        ("fib", 252, "transit"),
        ("first-packet", 260, None),
    ]
    assert stages[1].detail == f"bgp withdraw {VIP} to transit"


def test_what_neighbours_say_while_a_change_is_pending_did_not_cause_it() -> None:
    """As measured with a stopped zebra: the transit's own new way comes back to it from the edge long before its FIB."""
    echo = sent(430, "edge-1", "transit", what="update")
    stages = decompose([*REMOTE[:2], echo, fib(1061, "transit")], KILL, FirstPacket(1070 * MS))
    assert ends(stages)[1:3] == [("withdrawal", 202, "edge-1"), ("fib", 1061, "transit")]


def test_the_end_of_two_ways_waits_for_the_second() -> None:
    events = [down(141, "edge-2"), down(146, "edge-1"), sent(202, "edge-2", "transit"), sent(207, "edge-1", "transit")]
    both = decompose([*events, fib(255, "transit")], KILL, FirstPacket(260 * MS))
    assert ends(both)[:2] == [("detection", 146, "edge-1"), ("withdrawal", 207, "edge-1")]
    one_by_one = decompose([*events, fib(250, "transit"), fib(255, "transit")], KILL, FirstPacket(260 * MS))
    assert ends(one_by_one)[:2] == ends(both)[:2]


def test_a_way_that_is_hunted_and_lost_again_waits_for_its_second_word() -> None:
    events = [*REMOTE[:1], sent(200, "x", "transit", what="update"), fib(250, "transit"), sent(300, "x", "transit")]
    stages = decompose([*events, fib(350, "transit")], KILL, FirstPacket(360 * MS))
    assert ends(stages)[1:3] == [("withdrawal", 300, "x"), ("fib", 350, "transit")]


def test_a_second_change_at_a_node_that_noticed_was_told_for() -> None:
    """It first falls back to a way that is gone too, and only then is told of the one that works."""
    events = [
        down(141, "transit"),
        fib(202, "transit"),
        sent(240, "edge-2", "transit", what="update"),
        fib(290, "transit"),
    ]
    assert [s.name for s in decompose(events, KILL, FirstPacket(300 * MS))] == list(ORDER)
    assert [s.name for s in decompose(events, KILL, FirstPacket(210 * MS))] == ["detection", "fib", "first-packet"]


def test_a_drain_has_no_detection() -> None:
    """Its own end of session comes at the end, when nobody waits for it any more."""
    events = [
        down(5, "edge-1"),
        sent(347, "l4-1", "edge-1", what="update"),
        fib(398, "edge-1", acc=1.5),
        sent(1381, "l4-1", "edge-1"),
    ]
    stages = decompose(events, DRAIN, FirstPacket(401 * MS))
    assert ends(stages) == [("withdrawal", 347, "l4-1"), ("fib", 398, "edge-1"), ("first-packet", 401, None)]


def test_an_unhealthy_backend_was_found_by_a_health_check_and_a_table_is_a_fib() -> None:
    kill = Failure(
        0, nodes=frozenset({"l7-1"}), names=frozenset({"10.1.4.1"}), destinations=frozenset({"203.0.113.10"})
    )
    told = event(301, "l4-1", "l4", "unhealthy", detail="10.1.4.1 did not answer 3 times")
    other = event(20, "l4-1", "l4", "unhealthy", detail="10.1.4.2 did not answer 3 times")
    stages = decompose([other, told, event(303, "l4-1", "l4", "table")], kill, FirstPacket(310 * MS))
    assert ends(stages) == [("health-check", 301, "l4-1"), ("fib", 303, "l4-1"), ("first-packet", 310, None)]


def test_a_cut_link_is_known_by_its_ends() -> None:
    cut = Failure(0, ends=frozenset({("edge-1", "eth2"), ("l4-1", "eth1")}))
    elsewhere = event(3, "edge-2", "link", "down", peer="l4-1", interface="eth2")
    lost = event(7, "l4-1", "link", "down", peer="edge-1", interface="eth1", acc=2)
    assert ends(decompose([elsewhere, lost], cut, FirstPacket(12 * MS))) == [
        ("detection", 7, "l4-1"),
        ("first-packet", 12, None),
    ]


def test_the_dead_are_no_witnesses_and_the_new_path_can_be_given() -> None:
    events = [down(50, "l4-1", "edge-1"), fib(60, "l4-1"), *REMOTE, fib(255, "far-away")]
    stages = decompose(events, KILL, FirstPacket(260 * MS), on_path={"edge-1", "transit", "l4-1"})
    assert [stage.node for stage in stages] == ["edge-1", "edge-1", "transit", None]


def test_a_change_stamped_late_within_its_accuracy_still_counts() -> None:
    late = [*REMOTE[:2], fib(253, "transit", acc=4)]
    stages = decompose(late, KILL, FirstPacket(251 * MS))
    assert ends(stages)[-2:] == [("fib", 251, "transit"), ("first-packet", 251, None)]
    too_late = decompose([*REMOTE[:2], fib(253, "transit", acc=1)], KILL, FirstPacket(251 * MS))
    assert "fib" not in [stage.name for stage in too_late]


def test_a_way_back_counts_like_a_way_there() -> None:
    events = [down(100, "transit"), fib(160, "transit", "10.9.0.0/16"), fib(170, "transit", "2001:db8::/32")]
    assert ends(decompose(events, KILL, FirstPacket(180 * MS)))[1] == ("fib", 160, "transit")


@patient
@given(st.integers(0, 500 * MS))
def test_an_injected_delay_of_the_fib_is_in_the_fib_stage_and_nowhere_else(delay: int) -> None:
    change = REMOTE[-1]
    delayed = [*REMOTE[:2], replace(change, t_ns=change.t_ns + delay)]
    usual = decompose(REMOTE, KILL, FirstPacket(260 * MS))
    longer = decompose(delayed, KILL, FirstPacket(260 * MS + delay))
    grown = {b.name: (b.end_ns - b.start_ns) - (a.end_ns - a.start_ns) for a, b in zip(usual, longer, strict=True)}
    assert grown == {"detection": 0, "withdrawal": 0, "fib": delay, "first-packet": 0}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_what_was_not_seen_is_absent_and_not_zero(missing: int) -> None:
    seen = [e for number, e in enumerate(REMOTE) if number != missing]
    names = [stage.name for stage in decompose(seen, KILL, FirstPacket(260 * MS))]
    assert names == [name for number, name in enumerate(ORDER) if number != missing]


def test_without_any_event_all_of_it_is_the_first_packets() -> None:
    assert ends(decompose([], KILL, FirstPacket(9 * MS, 0, "client"))) == [("first-packet", 9, "client")]
    assert decompose([], KILL, None) == ()
    assert [s.name for s in decompose(REMOTE, KILL, None)] == list(ORDER[:3])
    with pytest.raises(ValueError, match="older"):
        decompose([], KILL, FirstPacket(-1))


NODES = st.sampled_from(["l4-1", "edge-1", "edge-2", "transit"])
EVENTS = st.builds(
    TimelineEvent,
    t_ns=st.integers(-100, 400),
    acc_ns=st.integers(0, 50),
    node=NODES,
    source=st.sampled_from(["bfd", "bgp", "fib", "link", "l4"]),
    what=st.sampled_from(
        ["down", "up", "withdraw", "update", "replace", "notification", "unhealthy", "table", "draining"]
    ),
    detail=st.sampled_from(["", "l4-1 is silent"]),
    peer=st.none() | NODES,
    interface=st.none() | st.just("eth2"),
    prefix=st.sampled_from([None, VIP, "0.0.0.0/0", "10.1.3.1/32", "2001:db8::/32"]),
)


@patient
@given(st.lists(EVENTS, max_size=25), st.integers(0, 300), st.booleans())
def test_stages_are_in_order_without_overlap_and_add_up(events: list[TimelineEvent], after: int, planned: bool) -> None:
    failure = replace(KILL, planned=planned)
    stages = decompose(events, failure, FirstPacket(after))
    order = (*NOTICES, *ORDER[1:])
    assert [s.name for s in stages] == [name for name in order if name in {s.name for s in stages}]
    assert sum(s.name in NOTICES for s in stages) <= 1
    assert stages[0].start_ns == failure.t_ns
    assert all(one.end_ns == other.start_ns for one, other in itertools.pairwise(stages))
    assert all(s.start_ns <= s.end_ns for s in stages)
    assert sum(s.end_ns - s.start_ns for s in stages) == after
    assert not planned or {s.name for s in stages}.isdisjoint(NOTICES)
