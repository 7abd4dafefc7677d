"""What must hold of an L7 node's drops: the end of its tunnels tells of every packet that it lets go no further."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bpf import BpfError, Program, detach_xdp
from l7.attach import REASONS, load
from node.drop_maps import DropMaps, Teller
from node.drops import line
from node.events import Events
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from reports.evidence.handed import Drop, Flow, decode
from tests.reference.conftest import ROOT
from tests.reference.network import namespaces
from tests.reference.tier import l7_config

DROP, PASS = 1, 2
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
CLIENT, VIP, ELSEWHERE = "198.51.100.2", "203.0.113.20", "10.2.4.1"
CLIENT6, ELSEWHERE6 = "2001:db8:2:9::1", "2001:db8:2:4::1"


@dataclass
class Node:
    """The program on eth1 of an L7 node, and whoever tells of its drops, which finds them by that interface alone."""

    program: Program
    teller: Teller

    def told(self) -> list[Drop]:
        """Of two turns."""
        drops = [*self.teller.look(), *self.teller.look()]
        found = [decode(line("l7", REASONS, drop, time.monotonic_ns())) for drop in drops]
        return [each for each in found if isinstance(each, Drop)]


@pytest.fixture
def node(decap_object: Path) -> Iterator[Node]:
    with namespaces("l7") as network:
        network.ip("l7", "link set lo up", "link add eth1 type veth peer name peer1", "link set eth1 up")
        with network.entered("l7"), load(l7_config("eu-l7-1"), decap_object) as loaded:
            program = loaded.program("decapsulate")
            program.attach(socket.if_nametoindex("eth1"))
            yield Node(program, Teller(DropMaps.of("eth1"), Events("l7"), REASONS))


def tunnel(inner: Any, **outer: Any) -> bytes:
    return bytes(ETHER / IP(src="10.2.3.1", dst="10.2.4.1", proto=41 if IPv6 in inner else 4, **outer) / inner)


ECHO = IP(src=CLIENT, dst=VIP) / UDP(sport=4000, dport=7) / bytes(40)
OPTIONS = [IPOption_Router_Alert()]


@pytest.mark.parametrize(
    ("frame", "reason", "flow"),
    [
        (
            tunnel(IP(src=CLIENT, dst=ELSEWHERE) / UDP(sport=4000, dport=7)),
            "not_served",
            Flow(CLIENT, 4000, ELSEWHERE, 7, 17),
        ),
        (
            tunnel(IPv6(src=CLIENT6, dst=ELSEWHERE6) / TCP(sport=4000, dport=80)),
            "not_served",
            Flow(CLIENT6, 4000, ELSEWHERE6, 80, 6),
        ),
        (
            tunnel(IP(src=CLIENT, dst=ELSEWHERE) / ICMP(type=8, id=77)),
            "not_served",
            Flow(CLIENT, 77, ELSEWHERE, 0, 1),
        ),
        (tunnel(ECHO, options=OPTIONS), "options", Flow(CLIENT, 4000, VIP, 7, 17)),
        (tunnel(IP(src=CLIENT, dst=VIP))[:-4], "malformed", None),
        (tunnel(IPv6(src=CLIENT6, dst=ELSEWHERE6))[:-4], "malformed", None),
    ],
)
def test_what_is_dropped_behind_a_tunnel_is_told_with_the_flow_in_it(
    node: Node, frame: bytes, reason: str, flow: Flow | None
) -> None:
    assert node.told() == []
    before = time.monotonic_ns()
    for _ in range(3):
        assert node.program.test_run(frame).verdict == DROP
    after = time.monotonic_ns()
    (drop,) = node.told()
    assert (drop.source, drop.reason, drop.flow, drop.count) == ("l7", reason, flow, 3)
    assert before <= drop.first_ns < drop.last_ns <= after
    assert node.told() == []


def test_what_comes_out_of_a_tunnel_is_not_told(node: Node) -> None:
    for _ in range(100):
        assert node.program.test_run(tunnel(ECHO)).verdict == PASS
    assert node.told() == []


def test_every_reason_has_a_word_in_the_same_order_and_a_test() -> None:
    source = (ROOT / "probes/reference/l7/decap.bpf.c").read_text()
    found = re.search(r"enum reason \{(.*?)\}", source, re.DOTALL)
    assert found is not None
    assert [name.strip().removeprefix("DROP_").lower() for name in found[1].split(",")] == list(REASONS)
    assert set(REASONS) == {"options", "malformed", "not_served"}


def test_where_no_program_is_attached_that_is_said(node: Node) -> None:
    with pytest.raises(BpfError, match="nothing1"):
        DropMaps.of("nothing1")
    detach_xdp(socket.if_nametoindex("eth1"))
    with pytest.raises(BpfError, match="has no XDP program"):
        DropMaps.of("eth1")
    assert node.program.test_run(tunnel(ECHO)).verdict == PASS
