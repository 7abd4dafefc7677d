"""What must hold of an L7 node's drops: the end of its tunnels tells of every packet that it lets go no further."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import select
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpf
import pytest
from bpf import BpfError, detach_xdp
from l7.attach import REASONS, load
from l7.program import Program
from node.drop_maps import DropMaps, Teller
from node.drops import line
from node.events import Events
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from probes.attribution.reasons import Cause
from reports.evidence.handed import Drop, Flow, decode
from tests.reference.attributed import put_down
from tests.reference.conftest import ROOT
from tests.reference.network import Network, namespaces
from tests.reference.tier import l7_config, until

DROP, PASS = 1, 2
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
CLIENT, VIP, ELSEWHERE = "198.51.100.2", "203.0.113.20", "10.2.4.1"
CLIENT6, ELSEWHERE6 = "2001:db8:2:9::1", "2001:db8:2:4::1"


@dataclass
class Node:
    """The program on eth1 of an L7 node, and whoever tells of its drops, which finds them by that interface alone."""

    program: bpf.Program
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
    assert put_down(drop, "l7-1") == (Cause("l7-1", reason, "handed") if flow else None)


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


STRANGER, HERE = "198.51.100.9", "10.0.0.1"


def _told(pipe: int, count: int) -> list[Drop]:
    """Lines of the responder's until they tell of that many datagrams."""
    raw = b""
    told: list[Drop] = []
    while sum(drop.count for drop in told) < count:
        assert select.select([pipe], [], [], 10)[0], f"after 10 s: {count} datagrams, had {told}"
        raw += os.read(pipe, 65536)
        found = [decode(each) for each in raw.splitlines() if each.endswith(b"}")]
        told = [each for each in found if isinstance(each, Drop)]
    return told


@dataclass
class Responder:
    """The echo program on one end of a link, what it tells, and whom it answers: `known`, on the other end."""

    network: Network
    pipe: int
    known: socket.socket


@pytest.fixture
def responder(echo_program: Path) -> Iterator[Responder]:
    with namespaces("asks", "l7") as network:
        network.ip("asks", "link add eth1 type veth peer name eth1 netns " + network.full("l7"), "link set eth1 up")
        network.ip("asks", f"address add {STRANGER}/32 dev eth1", "address add 10.0.0.2/24 dev eth1")
        network.ip("l7", f"address add {HERE}/24 dev eth1", "link set eth1 up", "link set lo up")
        network.sysctl("l7", "ipv4/conf/all/rp_filter", "0")
        network.sysctl("l7", "ipv4/conf/eth1/rp_filter", "0")
        argv = ["nsenter", f"--net=/run/netns/{network.full('l7')}", str(echo_program), "7", "me"]
        with (
            subprocess.Popen(argv, stdout=subprocess.PIPE) as process,
            network.socket("asks", socket.SOCK_DGRAM) as known,
        ):
            assert process.stdout is not None
            try:
                known.settimeout(0.1)
                known.bind(("10.0.0.2", 0))
                for _ in range(100):  # until the responder has its port
                    known.sendto(b"probe-", (HERE, 7))
                    with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                        assert known.recv(100) == b"probe-me"
                        break
                yield Responder(network, process.stdout.fileno(), known)
            finally:
                process.kill()


def _answers_again(responder: Responder) -> None:
    responder.known.settimeout(5)
    responder.known.sendto(b"probe-", (HERE, 7))
    assert responder.known.recv(100) == b"probe-me", "whoever can be answered is, and is not told of"
    assert not select.select([responder.pipe], [], [], 0.3)[0]


def test_a_responder_without_a_route_back_tells_whom_it_could_not_answer(responder: Responder) -> None:
    network = responder.network
    with network.socket("asks", socket.SOCK_DGRAM) as unknown:
        unknown.bind((STRANGER, 0))
        before = time.monotonic_ns()
        for _ in range(3):
            unknown.sendto(b"probe-", (HERE, 7))
        told = _told(responder.pipe, 3)
        flow = Flow(STRANGER, unknown.getsockname()[1], HERE, 7, 17)
    assert {(drop.source, drop.reason, drop.flow) for drop in told} == {("echo", "no_route", flow)}
    assert put_down(told[0], "l7-1") == Cause("l7-1", "no_route", "handed")
    assert all(before <= drop.first_ns <= drop.last_ns <= drop.t_ns for drop in told)
    with contextlib.ExitStack() as crowd:
        for _ in range(200):
            one = crowd.enter_context(network.socket("asks", socket.SOCK_DGRAM))
            one.bind((STRANGER, 0))
            one.sendto(b"probe-", (HERE, 7))
        told = _told(responder.pipe, 200)
    assert sum(drop.count for drop in told) == 200, "each once"
    assert max(Counter(drop.t_ns for drop in told if drop.flow).values()) <= 64, "a turn names 64 clients"
    _answers_again(responder)


def test_a_responder_whose_answers_are_refused_at_home_says_that_they_were_not_sent(responder: Responder) -> None:
    table = "add table inet t; add chain inet t o { type filter hook output priority 0; }; add rule inet t o udp sport 7 drop"
    inside_it = ["nsenter", f"--net=/run/netns/{responder.network.full('l7')}", "nft"]
    subprocess.run([*inside_it, table], check=True)
    for _ in range(3):
        responder.known.sendto(b"probe-", (HERE, 7))
    told = _told(responder.pipe, 3)
    flow = Flow("10.0.0.2", responder.known.getsockname()[1], HERE, 7, 17)
    assert {(drop.source, drop.reason, drop.flow) for drop in told} == {("echo", "not_sent", flow)}
    subprocess.run([*inside_it, "delete table inet t"], check=True)
    _answers_again(responder)


def test_a_responder_whose_answers_back_up_drops_them_by_name_and_goes_on(responder: Responder) -> None:
    asked = 0
    told: list[Drop] = []
    inside_it = ["nsenter", f"--net=/run/netns/{responder.network.full('l7')}", "tc", "qdisc"]
    subprocess.run([*inside_it, *"add dev eth1 root tbf rate 8kbit burst 2kb limit 1gb".split()], check=True)
    while not told:
        for _ in range(100):
            responder.known.sendto(b"probe-", (HERE, 7))
            asked += 1
        assert asked < 1_000_000, "its queue never filled"
        if select.select([responder.pipe], [], [], 0)[0]:
            told = _told(responder.pipe, 1)
    subprocess.run([*inside_it, *"delete dev eth1 root".split()], check=True)
    while select.select([responder.pipe], [], [], 0.3)[0]:
        told += _told(responder.pipe, 1)
    flow = Flow("10.0.0.2", responder.known.getsockname()[1], HERE, 7, 17)
    assert {(drop.source, drop.reason, drop.flow) for drop in told} == {("echo", "no_buffer", flow)}
    assert sum(drop.count for drop in told) < asked
    _answers_again(responder)


def test_those_that_a_turn_does_not_name_are_told_even_where_the_reader_was_behind(responder: Responder) -> None:
    fcntl.fcntl(responder.pipe, fcntl.F_SETPIPE_SZ, 4096)  # one line, then it is full until somebody reads
    with contextlib.ExitStack() as crowd:
        for _ in range(70):
            one = crowd.enter_context(responder.network.socket("asks", socket.SOCK_DGRAM))
            one.bind((STRANGER, 0))
            one.sendto(b"probe-", (HERE, 7))
        told = _told(responder.pipe, 70)
    assert sum(drop.count for drop in told) == 70
    assert sum(drop.count for drop in told if drop.flow is None) > 0, "the test's own: all of them were named"
    _answers_again(responder)


def test_a_program_that_hands_over_lines_is_heard_by_those_who_read_the_nodes_events(tmp_path: Path) -> None:
    written = '{"what":"drop","count":1}'

    async def body() -> None:
        events = Events("l7")
        async with events.listening(tmp_path / "events.sock"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "events.sock")
            await until(lambda: len(events._readers) == 1, "a reader")
            program = Program("echo", ["sh", "-c", f"echo '{written}'; exec sleep 60"], events, hands_over=True)
            running = asyncio.create_task(program.run())
            async with asyncio.timeout(10):
                lines = [await reader.readline() for _ in range(2)]
            assert written.encode() + b"\n" in lines
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            writer.close()

    asyncio.run(body())
