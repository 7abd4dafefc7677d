"""What must hold of connections that an L4 node has forgotten: they live as long as their own L7 node does, and no longer."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from l4.config import L4Config
from l4.dataplane import DataPlane
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from tests.reference.tier import L7, VIPS, VIPS6, Tier, tier, until

FAMILIES = ((socket.AF_INET, VIPS[0]), (socket.AF_INET6, VIPS6[0]))
EVERYONE = frozenset(L7)
SERVER = """
import socketserver, socket, sys
class Named(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(64):
            self.request.sendall(sys.argv[1].encode())
class Server(socketserver.ThreadingTCPServer):
    address_family, allow_reuse_address, daemon_threads, request_queue_size = socket.AF_INET6, True, True, 64
Server(("::", 80), Named).serve_forever()
"""


@pytest.fixture
def built(decap_object: Path, echo_program: Path, tmp_path: Path) -> Iterator[Tier]:
    with tier(decap_object, echo_program, tmp_path) as made, made.network.entered("l4"):
        for interface in ("eth1", "eth2"):  # neighbours are not known yet
            made.network.sysctl("l4", f"ipv4/conf/{interface}/accept_local", "1")
        for name in L7:
            made.served[name, "app"].kill()
            made.served[name, "app"].wait()
            made.served[name, "app"] = made.network.start(name, sys.executable, "-S", "-c", SERVER, name)
            asyncio.run(until(lambda name=name: _listens(made, name), "a server"))  # type: ignore[misc]
        yield made


def _listens(built: Tier, name: str) -> bool:
    with built.network.socket(name, socket.SOCK_STREAM) as one, suppress(OSError):
        one.connect(("127.0.0.1", 80))
        return asked(one) == name
    return False


@pytest.fixture
def two_links(config: L4Config) -> L4Config:
    return replace(config, interfaces=("eth1", "eth2"))


def asked(connection: socket.socket) -> str:
    """Who answers on this connection."""
    connection.sendall(b"?")
    answer = connection.recv(64)
    assert answer, "closed"
    return answer.decode()


def connected(built: Tier, stack: ExitStack, count: int = 12) -> list[socket.socket]:
    """Connections to the web service's VIPs, of each family."""
    made = []
    for family, vip in FAMILIES:
        for _ in range(count):
            one = stack.enter_context(built.network.socket("client", socket.SOCK_STREAM, family))
            one.settimeout(5)
            one.connect((vip, 80))
            made.append(one)
    return made


def opened(built: Tier, config: L4Config, balance_object: Path, stack: ExitStack) -> dict[socket.socket, str]:
    """Connections through an L4 node that balances over everybody, and who has each."""
    with DataPlane(config, balance_object) as plane:
        plane.serve({"web": EVERYONE, "echo": EVERYONE})
        assert plane.attach()
        found = {one: asked(one) for one in connected(built, stack)}
    assert set(found.values()) == set(L7), "both L7 nodes have some"
    return found


def forgetting(config: L4Config, balance_object: Path) -> Iterator[str]:
    """An L4 node without pins, and with a ring of one: of each L7 node in turn."""
    for alone in L7:
        with DataPlane(config, balance_object) as plane:
            plane.serve({"web": frozenset({alone}), "echo": EVERYONE})
            assert plane.attach()
            yield alone


def test_a_connection_outlives_what_the_l4_node_knew_of_it(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    with ExitStack() as stack:
        before = opened(built, two_links, balance_object, stack)
        for alone in forgetting(two_links, balance_object):
            assert {one: asked(one) for one in before} == before
            assert {asked(one) for one in connected(built, stack, 3)} == {alone}, "new ones stay where they are sent"


def test_segments_that_leave_together_have_their_second_chance_each(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    """Routers put them together and apart again (GRO, GSO), and number the tunnel's headers anew as they do."""
    with ExitStack() as stack:
        before = opened(built, two_links, balance_object, stack)
        for _ in forgetting(two_links, balance_object):
            for one, who in before.items():
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
                one.sendall(b"?" * 600)
                answers = one.recv(14, socket.MSG_WAITALL).decode()  # of one answer a whole one, wherever it begins
                assert who in answers


@pytest.mark.parametrize("number", [1, 2, 65535])
def test_whatever_number_a_router_gave_the_tunnels_header_a_packet_goes_round_once(built: Tier, number: int) -> None:
    """A router that puts segments together and apart again (GRO, GSO) numbers the headers: the second one's is 1. Taken for "passed
    on once" it was reset, and with it every connection over IPv6 whose request left in two segments."""
    first, other = L7.values()
    inner = IP(src="198.51.100.2", dst=VIPS[0]) / TCP(sport=4444, dport=80, flags="A", seq=1, ack=1) / b"?"
    with (
        built.network.socket("edge", socket.SOCK_RAW, socket.AF_PACKET, socket.htons(0x0800)) as seen,
        built.network.socket("l4", socket.SOCK_RAW, socket.AF_INET, socket.IPPROTO_RAW) as raw,
    ):
        seen.settimeout(5)
        raw.sendto(bytes(IP(src="10.2.3.1", dst=first, proto=4, id=number) / inner), (first, 0))
        tunnels = []
        while True:
            packet = Ether(seen.recv(2048))[IP]
            if packet.proto == 4 and packet.dst in (first, other) and packet.ttl not in [t.ttl for t in tunnels]:
                tunnels.append(packet)
            if packet.proto == 6 and packet[TCP].dport == 4444:
                assert packet[TCP].flags == "R", "and nobody has it"
                break
    way = [packet.dst for packet in tunnels]
    assert set(way) == {first, other}
    assert way == sorted(way, key=[first, other].index), "and not back"


def test_a_connection_whose_l7_node_is_gone_is_reset_at_once(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    gone, left = L7
    with ExitStack() as stack:
        before = opened(built, two_links, balance_object, stack)
        built.network.ip(left, f"route add unreachable {L7[gone]}")
        with DataPlane(two_links, balance_object) as plane:
            plane.serve({"web": frozenset({left}), "echo": EVERYONE})
            assert plane.attach()
            for one, name in before.items():
                if name == gone:
                    with pytest.raises((ConnectionResetError, BrokenPipeError)):
                        asked(one)
                else:
                    assert asked(one) == name


def test_a_handshake_by_syn_cookies_is_finished_where_it_began(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    for name in L7:
        built.network.sysctl(name, "ipv4/tcp_syncookies", "2")  # always
    with ExitStack() as stack, DataPlane(two_links, balance_object) as plane:
        plane.serve({"web": frozenset({"eu-l7-1"}), "echo": EVERYONE})
        assert plane.attach()
        assert {asked(one) for one in connected(built, stack)} == {"eu-l7-1"}


def test_a_connection_that_nobody_has_goes_round_once(built: Tier, two_links: L4Config, balance_object: Path) -> None:
    with ExitStack() as stack:
        before = opened(built, two_links, balance_object, stack)
        victim = next(one for one, name in before.items() if name == "eu-l7-1")
        built.served["eu-l7-1", "app"].kill()
        built.served["eu-l7-1", "app"].wait()
        with DataPlane(two_links, balance_object) as plane:
            plane.serve({"web": frozenset({"eu-l7-2"}), "echo": EVERYONE})
            assert plane.attach()
            with pytest.raises((ConnectionResetError, BrokenPipeError, AssertionError)):
                asked(victim)
