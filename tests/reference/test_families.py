"""What must hold of the XDP program for IPv6 and ICMP, packet by packet (BPF_PROG_TEST_RUN; nothing is sent)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from bpf import FrameRun
from l4.dataplane import DataPlane
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Ether

DROP, PASS, REDIRECT = 1, 2, 4
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
WEB, WEB6, ECHO6 = "203.0.113.10", "2001:db8:f::10", "2001:db8:f::20"
CLIENT, CLIENT6 = "198.51.100.7", "2001:db8:2:9::1"
BOTH = frozenset({"eu-l7-1", "eu-l7-2"})
ROUTER, ROUTER6 = "192.0.2.9", "2001:db8:99::9"


def serve(plane: DataPlane, names: frozenset[str] = BOTH) -> None:
    plane.serve({"web": names, "echo": names})


def run(plane: DataPlane, packet: Any) -> FrameRun:
    return plane.program.test_run(bytes(ETHER / packet))


def backend_of(ran: FrameRun) -> str:
    assert ran.verdict == REDIRECT, ran
    return str(Ether(ran.frame)[IP].dst)


def tcp4(port: int, flags: str = "A") -> Any:
    return IP(src=CLIENT, dst=WEB) / TCP(sport=port, dport=80, flags=flags)


def tcp6(port: int, flags: str = "A", label: int = 0, payload: bytes = b"") -> Any:
    return IPv6(src=CLIENT6, dst=WEB6, fl=label) / TCP(sport=port, dport=80, flags=flags) / payload


def udp6(port: int) -> Any:
    return IPv6(src=CLIENT6, dst=ECHO6) / UDP(sport=port, dport=7) / b"payload"


def echo4(identifier: int, sequence: int = 1) -> Any:
    return IP(src=CLIENT, dst=WEB) / ICMP(type=8, id=identifier, seq=sequence) / bytes(56)


def echo6(identifier: int, sequence: int = 1) -> Any:
    return IPv6(src=CLIENT6, dst=WEB6) / ICMPv6EchoRequest(id=identifier, seq=sequence) / bytes(56)


def answered4(port: int) -> Any:
    """What a backend sent to the client of `tcp4(port)`, as a router quotes it."""
    return IP(src=WEB, dst=CLIENT, len=1500) / TCP(sport=80, dport=port)


def answered6(port: int) -> Any:
    return IPv6(src=WEB6, dst=CLIENT6, plen=1460) / TCP(sport=80, dport=port)


@pytest.mark.parametrize("packet", [tcp6(1234), udp6(1234), echo6(1)])
def test_an_ipv6_packet_to_a_vip_goes_into_a_tunnel_over_ipv4_unchanged(plane: DataPlane, packet: Any) -> None:
    serve(plane)
    ran = run(plane, packet)
    outer = Ether(ran.frame)
    assert (ran.verdict, outer.type) == (REDIRECT, 0x0800)
    assert ran.frame[34:] == bytes(packet)
    assert (outer[IP].src, outer[IP].proto, outer[IP].flags) == ("10.2.3.1", 41, "DF")
    assert outer[IP].len == len(ran.frame) - 14
    given, outer[IP].chksum = outer[IP].chksum, None
    assert Ether(bytes(outer))[IP].chksum == given


def test_the_traffic_class_is_carried_outside(plane: DataPlane) -> None:
    serve(plane)
    assert run(plane, IPv6(src=CLIENT6, dst=WEB6, tc=0x8C) / TCP(dport=80)).frame[15] == 0x8C


def test_ipv6_flows_use_all_backends_and_next_hops_each_flow_one_whatever_its_label(plane: DataPlane) -> None:
    serve(plane)
    frames = {port: run(plane, tcp6(port)).frame for port in range(1, 1000)}
    assert min(Counter(Ether(frame)[IP].dst for frame in frames.values()).values()) > 430
    assert min(Counter(Ether(frame).dst for frame in frames.values()).values()) > 300
    assert {run(plane, tcp6(port, label=port + 77)).frame[:34] for port in range(1, 50)} == {
        frames[port][:34] for port in range(1, 50)
    }
    assert all(run(plane, tcp6(port, label=7 * port)).frame[:34] == frames[port][:34] for port in range(1, 50))


def test_an_ipv6_flow_stays_pinned_when_the_table_is_swapped(plane: DataPlane) -> None:
    serve(plane, frozenset({"eu-l7-1"}))
    before = {port: backend_of(run(plane, tcp6(port, "S"))) for port in range(1, 100)}
    serve(plane)
    assert {port: backend_of(run(plane, tcp6(port))) for port in range(1, 100)} == before


@pytest.mark.parametrize(
    ("packet", "counter"),
    [
        (IPv6(dst=WEB6) / IPv6ExtHdrHopByHop() / TCP(dport=80), "drop_extension"),
        (IPv6(dst=WEB6) / IPv6ExtHdrDestOpt() / TCP(dport=80), "drop_extension"),
        (IPv6(dst=WEB6, nh=43) / bytes(40), "drop_extension"),
        (IPv6(dst=WEB6) / IPv6ExtHdrFragment(m=1) / TCP(dport=80), "drop_fragment"),
        (IPv6(dst=WEB6) / TCP(dport=81), "drop_not_served"),
        (IPv6(dst=WEB6) / UDP(dport=80), "drop_not_served"),
        (IPv6(dst=WEB6, nh=47) / bytes(20), "drop_not_served"),
        (IPv6(dst=WEB6) / ICMPv6ND_NS(), "drop_not_served"),
        (IPv6(dst=WEB6) / ICMPv6EchoReply(), "drop_not_served"),
        (IPv6(dst=WEB6, nh=6) / b"\0\1", "drop_malformed"),
        (IPv6(dst=WEB6, nh=58) / b"\x80\0\0\0", "drop_malformed"),
        (IPv6(dst=WEB6, plen=900) / TCP(dport=80), "drop_malformed"),
        (IPv6(dst=WEB6) / ICMPv6PacketTooBig() / bytes(12), "drop_malformed"),
        (IP(dst=WEB) / ICMP(type=0), "drop_not_served"),
        (IP(dst=WEB) / ICMP(type=5), "drop_not_served"),
        (IP(dst=WEB, proto=1) / b"\x08\0\0\0", "drop_malformed"),
        (IP(dst=WEB) / ICMP(type=3, code=4) / bytes(8), "drop_malformed"),
        (tcp6(1, payload=bytes(1500)), "drop_too_big"),
    ],
)
def test_what_cannot_be_served_is_dropped_for_a_named_reason(plane: DataPlane, packet: Any, counter: str) -> None:
    serve(plane)
    assert run(plane, packet).verdict == DROP
    assert plane.counters()[counter] == 1


def test_ipv6_for_anything_else_passes_unchanged(plane: DataPlane) -> None:
    frame = bytes(ETHER / IPv6(dst="2001:db8:f::11") / TCP(dport=80))
    ran = plane.program.test_run(frame)
    assert (ran.verdict, ran.frame) == (PASS, frame)


@pytest.mark.parametrize("echo", [echo4, echo6])
def test_pings_spread_over_backends_by_their_identifier_and_never_by_sequence(plane: DataPlane, echo: Any) -> None:
    serve(plane)
    chosen = {identifier: backend_of(run(plane, echo(identifier))) for identifier in range(1, 300)}
    assert min(Counter(chosen.values()).values()) > 110
    assert all(backend_of(run(plane, echo(i, sequence))) == chosen[i] for i in (1, 2, 3, 4) for sequence in range(20))
    assert plane.counters()["pings"] == 299 + 80


def test_a_ping_is_answered_by_whom_the_first_service_has(plane: DataPlane) -> None:
    plane.serve({"web": frozenset({"eu-l7-1"}), "echo": frozenset({"eu-l7-2"})})
    assert {backend_of(run(plane, echo6(n))) for n in range(1, 40)} == {"10.2.4.1"}
    ping = IPv6(src=CLIENT6, dst=ECHO6) / ICMPv6EchoRequest(id=9)
    assert backend_of(run(plane, ping)) == "10.2.4.2"


def errors4(port: int) -> list[Any]:
    quoted = bytes(answered4(port))[:28]
    head = IP(src=ROUTER, dst=WEB)
    return [
        head / ICMP(type=3, code=4, nexthopmtu=1400) / quoted,
        head / ICMP(type=3, code=1) / quoted,
        head / ICMP(type=11) / quoted,
    ]


def errors6(port: int) -> list[Any]:
    quoted = bytes(answered6(port))
    head = IPv6(src=ROUTER6, dst=WEB6)
    return [
        head / ICMPv6PacketTooBig(mtu=1280) / quoted,
        head / ICMPv6DestUnreach() / quoted,
        head / ICMPv6TimeExceeded() / quoted,
    ]


@pytest.mark.parametrize(("flow", "errors"), [(tcp4, errors4), (tcp6, errors6)])
def test_an_error_reaches_the_backend_of_the_flow_that_it_quotes(plane: DataPlane, flow: Any, errors: Any) -> None:
    serve(plane, frozenset({"eu-l7-1"}))
    for port in range(1, 40):
        run(plane, flow(port, "S"))
    serve(plane)
    for port in range(1, 80):  # pinned to the first, or new and hashed
        wanted = backend_of(run(plane, flow(port)))
        for error in errors(port):
            ran = run(plane, error)
            assert backend_of(ran) == wanted
            assert ran.frame[34:] == bytes(error)


def test_an_error_about_an_unknown_flow_pins_nothing(plane: DataPlane) -> None:
    serve(plane, frozenset({"eu-l7-1"}))
    for port in range(1, 60):
        run(plane, errors4(port)[0])
    serve(plane)
    assert {backend_of(run(plane, tcp4(port))) for port in range(1, 60)} == {"10.2.4.1", "10.2.4.2"}
    assert plane.counters()["icmp_errors"] == 59


@pytest.mark.parametrize(
    "packet",
    [
        IP(src=ROUTER, dst=WEB) / ICMP(type=3, code=4) / bytes(IP(src="203.0.113.99", dst=CLIENT) / TCP(sport=80)),
        IP(src=ROUTER, dst=WEB) / ICMP(type=3, code=4) / bytes(IP(src=WEB, dst=CLIENT, proto=47) / bytes(8)),
        IP(src=ROUTER, dst=WEB) / ICMP(type=3, code=4) / bytes(IP(src=WEB, dst=CLIENT) / TCP(sport=81)),
        IPv6(src=ROUTER6, dst=WEB6) / ICMPv6PacketTooBig() / bytes(IPv6(src=ECHO6, dst=CLIENT6) / UDP(sport=7)),
    ],
)
def test_an_error_that_quotes_no_flow_of_this_vip_is_dropped(plane: DataPlane, packet: Any) -> None:
    serve(plane)
    assert run(plane, packet).verdict == DROP
    assert plane.counters()["drop_not_served"] == 1
