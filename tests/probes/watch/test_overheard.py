"""Packets become events: changes only, each where and when it was said; what cannot be understood is counted."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from probes.watch import packet
from probes.watch.event import TimelineEvent
from probes.watch.overheard import ACC_NS, Overheard
from probes.watch.stream import Stream
from tests.probes.watch import made
from tests.probes.watch.made import heard, patient

ENDS = {10: ("edge", "eth1", "l4"), 11: ("l4", "eth1", "edge")}
VIP = "203.0.113.10/32"
MESSAGES = (
    made.unreach(1, VIP),
    made.reach(2, "2001:db8::/48"),
    made.NOTIFICATION,
    made.KEEPALIVE,
    made.message(2, b"\0\0\0\0"),
)


def test_a_session_that_falls_is_told_once_by_each_end() -> None:
    over = Overheard(ENDS)
    down = made.udp(made.bfd(made.DOWN, 1))
    told = over.add(heard(made.udp(made.bfd(made.UP)), t_ns=1)) + over.add(heard(down, t_ns=5))
    told += over.add(heard(down, t_ns=6)) + over.add(heard(made.udp(made.bfd(made.DOWN, 3)), t_ns=7, index=11))
    assert [(e.t_ns, e.node, e.peer, e.what, e.detail) for e in told] == [
        (1, "edge", "l4", "up", ""),
        (5, "edge", "l4", "down", "control detection time expired"),
        (7, "l4", "edge", "down", "neighbour signalled session down"),
    ]
    assert {(e.source, e.acc_ns) for e in told} == {("bfd", ACC_NS)}


def test_an_update_is_as_many_events_as_it_names_prefixes() -> None:
    over = Overheard(ENDS)
    told = over.add(heard(made.tcp(made.unreach(1, VIP, "203.0.113.20/32") + made.NOTIFICATION, 1), t_ns=9))
    assert told == [
        TimelineEvent(9, ACC_NS, "edge", "bgp", "withdraw", "", "l4", "eth1", VIP),
        TimelineEvent(9, ACC_NS, "edge", "bgp", "withdraw", "", "l4", "eth1", "203.0.113.20/32"),
        TimelineEvent(9, ACC_NS, "edge", "bgp", "notification", "cease: BFD down", "l4", "eth1"),
    ]


def test_a_session_over_several_hops_is_not_the_neighbours() -> None:
    over = Overheard(ENDS)
    (far,) = over.add(heard(made.tcp(made.NOTIFICATION, 1, src="10.0.0.1", dst="10.0.0.9", hops=64)))
    (near,) = over.add(heard(made.tcp(made.NOTIFICATION, 1, src="10.0.0.1", dst="10.0.0.2", hops=1)))
    assert (far.peer, near.peer) == ("10.0.0.9", "l4")


def test_what_makes_no_sense_is_counted_and_the_next_is_read() -> None:
    over = Overheard(ENDS)
    nonsense = (b"", b"\x90", made.ip("10.0.0.1", "10.0.0.2", 1, b"x" * 30), made.udp(b"x" * 24))
    for raw in (*nonsense, made.tcp(b"y" * 40, 1), made.tcp(made.message(3), 100)):
        assert over.add(heard(raw)) == []
    assert over.add(heard(made.udp(made.bfd(made.DOWN)), index=99)) == []
    assert sum(over.problems.values()) >= 7
    assert any("interface 99" in problem for problem in over.problems)
    assert len(over.add(heard(made.tcp(made.NOTIFICATION, 200)))) == 1


@patient
@given(st.binary(max_size=120))
def test_no_packet_raises(raw: bytes) -> None:
    Overheard(ENDS).add(heard(raw))


@patient
@given(st.integers(0, 80))
def test_a_packet_cut_short_says_what_is_missing(copied: int) -> None:
    whole = made.tcp(made.NOTIFICATION, 7, options=bytes(12))
    try:
        read = packet.parse(whole[:copied], len(whole))
    except ValueError:
        assert copied < 40 + 20 + 12
        return
    assert len(read.payload) + read.missing == len(made.NOTIFICATION)


@patient
@given(
    st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=12),
    st.lists(st.integers(1, 400), max_size=12),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 20), max_size=8),
)
def test_however_they_are_cut_into_segments_every_message_is_found_once(
    messages: list[bytes], cuts: list[int], first: int, repeated: list[int]
) -> None:
    """Repetitions as TCP makes them: from some earlier boundary up to what was sent by then."""
    data = b"".join(messages)
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    stream, found = Stream(), []
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        found += stream.feed(first + begin, data[begin:end])
        for back in repeated:
            again = bounds[max(0, number - back)]
            found += stream.feed((first + again) % 2**32, data[again:end])
    assert found == messages
    assert stream.skipped == 0


@patient
@given(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8), st.integers(1, 18), st.integers(0, 2**32 - 1))
def test_keepalives_that_were_not_handed_over_hide_nothing(messages: list[bytes], unseen: int, first: int) -> None:
    stream, found, seq = Stream(), [], first
    for message in messages:
        found += stream.feed(seq % 2**32, message)
        seq += len(message) + unseen * len(made.KEEPALIVE)
    assert found == messages
    assert stream.skipped == 0


@patient
@given(st.integers(1, len(made.NOTIFICATION) - 1), st.sampled_from(MESSAGES))
def test_beginning_mid_message_costs_that_message_and_says_so(at: int, following: bytes) -> None:
    stream = Stream()
    assert stream.feed(1, made.NOTIFICATION[at:] + following) == [following]
    assert stream.skipped == len(made.NOTIFICATION) - at


def test_bytes_that_nobody_copied_cost_their_message_only() -> None:
    stream = Stream()
    assert stream.feed(1, made.NOTIFICATION[:10], missing=len(made.NOTIFICATION) - 10) == []
    assert stream.feed(1 + len(made.NOTIFICATION), made.KEEPALIVE) == [made.KEEPALIVE]
    assert stream.skipped == len(made.NOTIFICATION)


def test_a_new_connection_on_the_same_ports_begins_anew() -> None:
    stream = Stream()
    stream.feed(3_000_000_000, made.NOTIFICATION)
    assert stream.feed(1_000_000_000, made.KEEPALIVE) == [made.KEEPALIVE]
