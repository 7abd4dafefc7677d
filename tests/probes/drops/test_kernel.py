"""One test per way in which a kernel drops a packet: the node, the interface and the reason must be the right ones."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pyroute2 import IPRoute
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from probes.drops.kernel import KernelDrop
from probes.drops.record import FiveTuple, Segment
from scenarios.dropped import kernel_drops
from tests.probes.drops.conftest import Reading
from tests.probes.drops.sending import PORT, Sender, probe_payload
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire, ip
from topologies.image.native import compile_bpf
from topologies.linux.bpf import Object
from topologies.linux.netns import inside

pytestmark = pytest.mark.lab
UDP_NUMBER = 17
both_families = pytest.mark.parametrize("to", [SERVER, SERVER6], ids=["v4", "v6"])


def flow_to(to: str, port: int = 7) -> FiveTuple:
    return FiveTuple(CLIENT6 if ":" in to else CLIENT, PORT, to, port, UDP_NUMBER)


def told(drops: list[KernelDrop]) -> set[tuple[str, str, str, str]]:
    return {(d.node, d.interface, d.reason, d.words) for d in drops}


def run(lab: Wire, node: str, *command: str) -> None:
    subprocess.run(["nsenter", f"--net={lab.netns(node)}", *command], check=True, capture_output=True)


@both_families
def test_a_port_nobody_listens_on(sent: Sender, reading: Reading, to: str) -> None:
    drops = reading.await_seqs(3, sent.probes(3, (to, 9)))
    assert told(drops) == {("s", "eth1", "NO_SOCKET", "no socket listens")}
    assert {(d.flow, d.ttl, d.carrier, d.segment) for d in drops} == {(flow_to(to, 9), 63, True, None)}
    assert [d.seq for d in drops] == [0, 1, 2], "oldest first"


@both_families
def test_an_nft_rule(lab: Wire, sent: Sender, reading: Reading, to: str) -> None:
    run(lab, "r", "nft", "add table inet t; add chain inet t f { type filter hook forward priority 0; }")
    run(lab, "r", "nft", "add rule inet t f udp dport 7 drop")
    drops = reading.await_seqs(3, sent.probes(3, (to, 7)))
    assert told(drops) == {("r", "c", "NETFILTER_DROP", "netfilter rule")}
    assert {d.flow for d in drops} == {flow_to(to)}


def test_an_nft_rule_of_the_sender_itself(lab: Wire, sent: Sender, reading: Reading) -> None:
    run(lab, "c", "nft", "add table inet t; add chain inet t o { type filter hook output priority 0; }")
    run(lab, "c", "nft", "add rule inet t o udp dport 7 drop")
    with suppress(PermissionError):
        sent.probe(3, 5, to=(SERVER, 7))
    assert told(reading.await_seqs(3, {5})) == {("c", "eth1", "NETFILTER_DROP", "netfilter rule")}


@pytest.mark.parametrize("to", ["10.77.0.1", "fd77::1"])
def test_no_route(sent: Sender, reading: Reading, to: str) -> None:
    assert told(reading.await_seqs(3, sent.probes(3, (to, 7)))) == {("r", "c", "IP_INNOROUTES", "no route")}


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
@both_families
def test_a_route_that_refuses(lab: Wire, sent: Sender, reading: Reading, kind: str, to: str) -> None:
    ip(f"route add {kind} {to}/{128 if ':' in to else 32}", node=f"{lab.name}-r")
    drops = reading.await_seqs(3, sent.probes(3, (to, 7)))
    assert {(d.node, d.interface) for d in drops} == {("r", "c")}
    assert {d.words for d in drops} <= {"no route", "route refuses it", "route discards it"}


@both_families
def test_ttl_exceeded(sent: Sender, reading: Reading, to: str) -> None:
    drops = reading.await_seqs(3, sent.probes(3, (to, 7), ttl=1))
    assert told(drops) == {("r", "c", "IP_INHDR", "TTL exceeded")}
    assert {d.ttl for d in drops} == {1}


@both_families
def test_larger_than_the_mtu(lab: Wire, sent: Sender, reading: Reading, to: str) -> None:
    ip("link set s mtu 1300", node=f"{lab.name}-r")
    drops = reading.await_seqs(3, sent.probes(3, (to, 7), padding=1250))
    assert {(d.node, d.reason, d.words) for d in drops} == {("r", "PKT_TOO_BIG", "larger than the MTU")}


def test_a_socket_that_is_never_read(lab: Wire, sent: Sender, reading: Reading) -> None:
    def opened() -> socket.socket:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        receiver.bind((SERVER, 7))
        return receiver

    with inside(lab.netns("s"), opened) as receiver:
        sent.probes(3, (SERVER, 7), count=50)
        drops = reading.until_sentinel(lambda: sent.probe(0xFFFF, 0, to=(SERVER, 9)))
        assert told(drops) == {("s", "eth1", "SOCKET_RCVBUFF", "socket's receive buffer full")}
        dropped = {d.seq for d in drops}
        receiver.setblocking(False)
        kept = set()
        with suppress(BlockingIOError):
            while True:
                kept.add(int.from_bytes(receiver.recv(2048)[8:16], "big"))
    assert kept
    assert dropped == set(range(50)) - kept


def test_reverse_path_filter(lab: Wire, sent: Sender, reading: Reading) -> None:
    for scope in ("all", "c"):
        lab.sysctl("r", f"ipv4/conf/{scope}/rp_filter").write("1")
    spoofed = IP(src="10.55.0.1", dst=SERVER) / UDP(sport=99, dport=7) / Raw(probe_payload(3, 4))
    sent.packet(spoofed)
    (drop,) = reading.await_seqs(3, {4})
    assert told([drop]) == {("r", "c", "IP_RPFILTER", "reverse path filter")}
    assert drop.flow == FiveTuple("10.55.0.1", 99, SERVER, 7, UDP_NUMBER)


@pytest.mark.parametrize("to", ["10.9.2.77", "fd09:2::77"])
def test_a_neighbour_that_does_not_answer(sent: Sender, reading: Reading, to: str) -> None:
    drops = reading.await_seqs(3, sent.probes(3, (to, 7)), deadline_s=30)  # after three requests, a second apart
    assert {(d.node, d.interface, d.words) for d in drops} == {("r", "s", "neighbour does not answer")}


@both_families
def test_a_link_without_carrier(lab: Wire, sent: Sender, reading: Reading, to: str) -> None:
    ip("link set eth1 down", node=f"{lab.name}-s")
    drop = reading.await_carrier_loss(3, lambda seq: sent.probe(3, seq, to=(to, 7)), ("r", "s"))
    assert (drop.reason, drop.carrier) == ("QDISC_DROP", False)


@both_families
def test_an_interface_that_was_taken_down(lab: Wire, sent: Sender, reading: Reading, to: str) -> None:
    ip("link set s down", node=f"{lab.name}-r")
    assert told(reading.await_seqs(3, sent.probes(3, (to, 7)))) == {("r", "c", "IP_INNOROUTES", "no route")}


def test_a_queue_that_is_full(lab: Wire, sent: Sender, reading: Reading) -> None:
    run(lab, "r", *"tc qdisc add dev s root tbf rate 8kbit burst 2000 limit 2000".split())
    sent.probes(3, (SERVER, 9), count=100)
    drops = reading.until_sentinel(lambda: sent.probe(0xFFFF, 0, to=("10.77.0.1", 9)))
    assert ("r", "s", "QDISC_DROP", "queue dropped it") in told(drops)
    assert {d.node for d in drops} <= {"r", "s"}
    assert len({d.seq for d in drops if d.node == "r"}) > 50


@contextmanager
def xdp(lab: Wire, node: str, interface: str, program: int) -> Iterator[None]:
    def attach(fd: int) -> None:
        with IPRoute() as netlink:
            netlink.link("set", index=netlink.link_lookup(ifname=interface)[0], xdp_fd=fd)

    inside(lab.netns(node), lambda: attach(program))
    yield
    inside(lab.netns(node), lambda: attach(-1))


@pytest.fixture
def programs() -> Iterator[Object]:
    loaded = Object(compile_bpf(Path(__file__).with_name("drop.bpf.c")))
    yield loaded
    loaded.close()


@pytest.mark.parametrize("name", ["xdp_drop", "xdp_aborted"])
@both_families
def test_an_xdp_program_that_drops_what_a_neighbours_stack_sent(
    lab: Wire, sent: Sender, reading: Reading, programs: Object, name: str, to: str
) -> None:
    with xdp(lab, "s", "eth1", programs.program_fd(name)):
        drops = reading.await_seqs(3, sent.probes(3, (to, 7)))
    assert {(d.node, d.interface, d.words) for d in drops} == {("s", "eth1", "XDP program")}


@pytest.mark.parametrize(("hook", "node", "interface"), [("ingress", "s", "eth1"), ("egress", "r", "s")])
def test_a_tc_filter(
    lab: Wire, sent: Sender, reading: Reading, programs: Object, hook: str, node: str, interface: str
) -> None:
    def attach() -> None:
        with IPRoute() as netlink:
            index = netlink.link_lookup(ifname=interface)[0]
            netlink.tc("add", "clsact", index)
            netlink.tc(
                "add-filter",
                "bpf",
                index,
                fd=programs.program_fd("tc_drop"),
                name="drop",
                parent=0xFFFFFFF2 if hook == "ingress" else 0xFFFFFFF3,
                direct_action=True,
                classid=1,
            )

    inside(lab.netns(node), attach)
    drops = reading.await_seqs(3, sent.probes(3, (SERVER, 7)))
    assert told(drops) == {(node, interface, f"TC_{hook.upper()}", f"tc filter at {hook}")}


@pytest.mark.parametrize("inner", [IP(src="1.2.3.4", dst="5.6.7.8"), IPv6(src="fd01::4", dst="fd02::8")])
def test_the_innermost_flow_of_a_tunnel(sent: Sender, reading: Reading, inner: IP) -> None:
    """The server has no tunnel, so that it drops what comes in one."""
    sent.packet(IP(src=CLIENT, dst=SERVER) / inner / UDP(sport=5, dport=6) / Raw(probe_payload(3, 8)))
    (drop,) = reading.await_seqs(3, {8})
    assert (drop.node, drop.interface) == ("s", "eth1")
    assert drop.flow == FiveTuple(inner.src, 5, inner.dst, 6, UDP_NUMBER)


def test_a_payload_that_comes_after_a_head_of_another_protocol(sent: Sender, reading: Reading) -> None:
    for length in (1, 25, 64):
        sent.probe(3, length, to=(SERVER, 9), before=b"\x40" + bytes(length - 1))
    reading.await_seqs(3, {1, 25, 64})


def test_an_echo_request_by_its_identifier(sent: Sender, reading: Reading) -> None:
    sent.packet(IP(src=CLIENT, dst="10.77.0.1") / ICMP(id=11) / Raw(probe_payload(3, 4)))
    (drop,) = reading.await_seqs(3, {4})
    assert drop.flow == FiveTuple(CLIENT, 11, "10.77.0.1", 11, 1)


def test_a_syn_by_its_sequence_number(sent: Sender, reading: Reading) -> None:
    sent.packet(IP(src=CLIENT, dst=SERVER) / TCP(sport=2001, dport=81, flags="S", seq=77))
    drops = reading.until_sentinel(lambda: sent.probe(0xFFFF, 0, to=(SERVER, 9)))
    assert [(d.node, d.interface, d.reason, d.flow, d.probe, d.segment) for d in drops] == [
        ("s", "eth1", "NO_SOCKET", FiveTuple(CLIENT, 2001, SERVER, 81, 6), None, Segment(77, 0, 2))
    ]


def test_an_answer_on_its_way_back(lab: Wire, sent: Sender, reading: Reading) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    run(lab, "r", "nft", "add table inet t; add chain inet t f { type filter hook forward priority 0; }")
    run(lab, "r", "nft", "add rule inet t f udp sport 7 drop")
    drops = reading.await_seqs(3, sent.probes(3, (SERVER, 7)))
    assert told(drops) == {("r", "s", "NETFILTER_DROP", "netfilter rule")}
    assert {d.flow for d in drops} == {FiveTuple(SERVER, 7, CLIENT, PORT, UDP_NUMBER)}


def test_a_renamed_interface_and_a_new_one_are_found(lab: Wire, sent: Sender, reading: Reading) -> None:
    reading.await_seqs(3, sent.probes(3, (SERVER, 9)))
    ip("link add dev extra type veth peer name beyond", "link set extra up", "link set beyond up", node=f"{lab.name}-s")
    ip("address add 10.9.3.1/24 dev extra", "neighbour add 10.9.3.2 lladdr 2:0:0:0:0:1 dev extra", node=f"{lab.name}-s")
    lab.sysctl("s", "ipv4/ip_forward").write("1")
    ip("route add 10.9.3.0/24 via 10.9.2.2", node=f"{lab.name}-r")
    ip("link set beyond down", node=f"{lab.name}-s")
    reading.await_carrier_loss(4, lambda seq: sent.probe(4, seq, to=("10.9.3.2", 7)), ("s", "extra"))


Sentinel = Callable[[], None]


@both_families
def test_what_arrives_is_no_drop(lab: Wire, sent: Sender, reading: Reading, sentinel: Sentinel, to: str) -> None:
    lab.responder("udp", to, "7", "be-1")
    sent.probes(3, (to, 7), count=100)
    sent.answers(100, family=6 if ":" in to else 4)
    assert reading.until_sentinel(sentinel) == []


def test_what_is_dropped_in_namespaces_that_are_not_ours_is_not_told(
    lab: Wire, sent: Sender, sentinel: Sentinel
) -> None:

    with kernel_drops({"s": lab.netns("s")}) as drops:
        only_s = Reading(drops)
        sent.probes(3, ("10.77.0.1", 7))
        assert only_s.until_sentinel(sentinel) == []


def test_a_taps_full_queue_is_no_drop_of_the_packet(
    lab: Wire, sent: Sender, reading: Reading, sentinel: Sentinel
) -> None:
    def opened() -> socket.socket:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        return tap

    lab.responder("udp", SERVER, "7", "be-1")
    taps = [inside(lab.netns(node), opened) for node in "crs"]
    sent.probes(3, (SERVER, 7), count=100)
    sent.answers(100)
    assert reading.until_sentinel(sentinel) == []
    for tap in taps:
        assert int.from_bytes(tap.getsockopt(263, 6, 8)[4:], "little") > 50, "PACKET_STATISTICS: the queue was full"
        tap.close()
