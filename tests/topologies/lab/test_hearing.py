"""The wires hand over what routers tell each other, before any cut, and nothing else; a full ring is counted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.topologies.lab.conftest import PAIR, Describe, Up
from tests.topologies.lab.frames import ethernet, ip_packet, send_raw, udp_packet
from tests.topologies.lab.once import LO, run_once
from topologies.linux.hearing import Hearing
from topologies.linux.wire import CUT_OUT, Wire

pytestmark = pytest.mark.lab
HERE, THERE = 5, 6
TC_ACT_STOLEN = 4  # dropped, and the sender is not told
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
A, B = "10.0.0.1", "10.0.0.2"
UP, DOWN, ADMIN_DOWN = 3, 1, 0
EXPIRED = 1
KEEPALIVE = b"\xff" * 16 + struct.pack("!HB", 19, 4)
NOTIFICATION = b"\xff" * 16 + struct.pack("!HBBB", 21, 3, 6, 2)


@dataclass
class Bench:
    """The wire's programs without a lab: `lo` is an end of node 5 whose peer is node 6."""

    wire: Wire
    wire_in: int
    wire_out: int

    def send(self, packet: bytes, *, version: int = 4, arrived_at: int = 0, times: int = 1) -> int:
        frame = ethernet(*MACS, packet)
        if version == 6:
            frame = frame[:12] + b"\x86\xdd" + frame[14:]
        return run_once(self.wire_out, frame, arrived_at=arrived_at, times=times)[0]


@pytest.fixture
def bench() -> Iterator[Bench]:
    wire, programs = Wire.load()
    wire.place([(LO, HERE, THERE, LO)])
    with closing(wire), closing(programs):
        yield Bench(wire, programs.program_fd("wire_in"), programs.program_fd("wire_out"))


@pytest.fixture
def hearing(bench: Bench) -> Iterator[Hearing]:
    with bench.wire.hear() as opened:
        yield opened


def bfd(state: int, diagnostic: int = 0) -> bytes:
    return struct.pack("!BBBBIIIII", 1 << 5 | diagnostic, state << 6, 3, 24, 1, 2, 50000, 50000, 0)


def bfd_packet(state: int, diagnostic: int = 0, *, port: int = 3784) -> bytes:
    return udp_packet((A, 49152), (B, port), bfd(state, diagnostic))


def tcp_packet(payload: bytes, *, ports: tuple[int, int] = (40000, 179), options: bytes = b"") -> bytes:
    offset = (5 + len(options) // 4) << 4
    head = struct.pack("!HHIIBBHHH", *ports, 1, 1, offset, 0x18, 1000, 0, 0)
    return ip_packet(A, B, 6, head + options + payload)


def over_ipv6(next_header: int, payload: bytes) -> bytes:
    link_local = bytes.fromhex("fe800000000000000000000000000001"), bytes.fromhex("fe800000000000000000000000000002")
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, 255) + b"".join(link_local) + payload


def test_an_up_is_told_once_and_anything_else_each_time(bench: Bench, hearing: Hearing) -> None:
    sent = [bfd_packet(UP), bfd_packet(DOWN, EXPIRED), bfd_packet(DOWN, EXPIRED), bfd_packet(UP), bfd_packet(UP, 7)]
    for packet in (sent[0], *sent[:2], *sent[2:], bfd_packet(UP, 7), bfd_packet(UP, 7)):
        bench.send(packet)
    assert [heard.packet for heard in hearing.read()] == sent
    assert hearing.read() == [], "they are taken only once"


@pytest.mark.parametrize("port", [3784, 4784])
def test_both_bfd_ports_and_both_families_are_heard(bench: Bench, hearing: Hearing, port: int) -> None:
    four = bfd_packet(ADMIN_DOWN, port=port)
    datagram = struct.pack("!HHHH", 49152, port, 32, 0) + bfd(ADMIN_DOWN)
    bench.send(four)
    bench.send(over_ipv6(17, datagram), version=6)
    assert [heard.packet for heard in hearing.read()] == [four, over_ipv6(17, datagram)]


def test_bgp_is_heard_but_for_keepalives_and_bare_acknowledgements(bench: Bench, hearing: Hearing) -> None:
    stamps = b"\x01\x01\x08\x0a" + bytes(8)
    told = [
        tcp_packet(NOTIFICATION),
        tcp_packet(NOTIFICATION, ports=(179, 40000), options=stamps),
        tcp_packet(KEEPALIVE + NOTIFICATION),
    ]
    untold = [tcp_packet(b""), tcp_packet(KEEPALIVE), tcp_packet(KEEPALIVE, ports=(179, 40000), options=stamps)]
    for packet in (*told, *untold):
        bench.send(packet)
    six = tcp_packet(NOTIFICATION)[20:]
    bench.send(over_ipv6(6, six), version=6)
    bench.send(over_ipv6(6, tcp_packet(KEEPALIVE)[20:]), version=6)
    assert [heard.packet for heard in hearing.read()] == [*told, over_ipv6(6, six)]


def test_what_others_send_is_not_heard(bench: Bench, hearing: Hearing) -> None:
    bench.send(tcp_packet(NOTIFICATION, ports=(40000, 80)))
    bench.send(udp_packet((A, 3784), (B, 7), bfd(DOWN)))
    bench.send(udp_packet((A, 20000), (B, 3785), bfd(DOWN)))
    bench.send(bfd_packet(DOWN), arrived_at=LO)  # forwarded: its sender's own end has told it
    run_once(bench.wire_in, ethernet(*MACS, bfd_packet(DOWN)))
    assert hearing.read() == []
    bench.send(bfd_packet(DOWN))
    assert len(hearing.read()) == 1, "and that it would have been"


def test_a_cut_end_and_a_killed_node_are_still_heard_speaking(bench: Bench, hearing: Hearing) -> None:
    bench.wire.cut_ends([LO], CUT_OUT)
    assert bench.send(bfd_packet(DOWN)) == TC_ACT_STOLEN
    bench.wire.cut_ends([LO], 0)
    bench.wire.cut_nodes([HERE])
    assert bench.send(bfd_packet(DOWN, EXPIRED)) == TC_ACT_STOLEN
    assert [heard.packet for heard in hearing.read()] == [bfd_packet(DOWN), bfd_packet(DOWN, EXPIRED)]
    assert bench.wire.cut_frames(HERE) == 2


def test_a_record_says_when_where_and_how_much(bench: Bench, hearing: Hearing) -> None:
    instant = bench.wire.join_nodes([HERE])
    bench.send(tcp_packet(NOTIFICATION))
    after = bench.wire.join_nodes([HERE])
    (heard,) = hearing.read()
    assert instant.after_ns <= heard.t_ns <= after.before_ns
    assert (heard.index, heard.node) == (LO, HERE)
    assert heard.length == len(heard.packet) == len(tcp_packet(NOTIFICATION))


def test_a_long_packet_is_cut_short_and_its_length_shows_it(describe: Describe, up: Up) -> None:
    lab = up(describe(PAIR.replace("1500", "9000")))
    whole = tcp_packet(NOTIFICATION + bytes(8000))
    with lab.wire.hear() as hearing:
        send_raw(lab.netns("b"), "eth1", ethernet(lab.ends["a"][0].mac, lab.ends["b"][0].mac, whole), count=1)
        (heard,) = hearing.read()
    assert (heard.index, heard.node, heard.length) == (lab.ends["b"][0].index, lab.numbers["b"], len(whole))
    assert heard.packet == whole[:4096]


def test_a_full_ring_is_counted_and_an_opening_starts_anew(bench: Bench, hearing: Hearing) -> None:
    assert hearing.lost() == 0
    bench.send(tcp_packet(bytes(3000)), times=2000)
    assert hearing.lost() > 0
    assert hearing.lost() + len(hearing.read()) == 2000
    bench.send(bfd_packet(DOWN))
    with bench.wire.hear() as later:
        assert later.read() == []
        assert later.lost() == 0
