"""A small tier for tests: client - edge - one L4 with two links, two L7 nodes; its bgpd only takes notes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from l4.agent import Agent
from l4.config import L4Config
from l4.dataplane import DataPlane
from l7.attach import load
from l7.config import App, L7Config, parse_config
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6EchoRequest

from tests.reference.conftest import ROOT
from tests.reference.network import Network, namespaces

L7 = {"eu-l7-1": "10.2.4.1", "eu-l7-2": "10.2.4.2"}
VIPS = ("203.0.113.10", "203.0.113.20")
VIPS6 = ("2001:db8:f::10", "2001:db8:f::20")
LINKS = (("l4", "eth1", 1), ("l4", "eth2", 2), ("eu-l7-1", "eth1", 3), ("eu-l7-2", "eth1", 4))
VTYSH = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/told"\n'


@dataclass
class Tier:
    """The nodes, and the two programs of each L7 node by (node, program)."""

    network: Network
    served: dict[tuple[str, str], subprocess.Popen[bytes]]
    told: Path

    def ask(self, payload: bytes = b"hello", *, count: int = 24, timeout_s: float = 2.0) -> list[str]:
        """Who answers datagrams to the echo service, each from a socket of its own; '' for no answer."""
        names = []
        for _ in range(count):
            with self.network.socket("client", socket.SOCK_DGRAM) as asking:
                asking.settimeout(timeout_s)
                asking.sendto(payload, (VIPS[1], 7))
                try:
                    answer, sender = asking.recvfrom(4096)
                except TimeoutError:
                    names.append("")
                    continue
                assert answer.startswith(payload)
                assert sender == (VIPS[1], 7)
                names.append(answer[len(payload) :].decode())
        return names

    def ask6(self, payload: bytes = b"hello", *, count: int = 24) -> list[str]:
        """Who answers the same over IPv6."""
        names = []
        for _ in range(count):
            with self.network.socket("client", socket.SOCK_DGRAM, socket.AF_INET6) as asking:
                asking.settimeout(2)
                asking.sendto(payload, (VIPS6[1], 7))
                answer, sender = asking.recvfrom(4096)
                assert answer.startswith(payload)
                assert sender[:2] == (VIPS6[1], 7)
                names.append(answer[len(payload) :].decode())
        return names

    def ping(self, vip: str) -> bool:
        """Whether the VIP answers an echo request within two seconds."""
        six = ":" in vip
        family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
        wanted, start = (129, 0) if six else (0, 20)  # a raw IPv4 socket gives the IP header, too
        with self.network.socket("client", socket.SOCK_RAW, family, protocol) as raw:
            raw.settimeout(2)
            raw.sendto(bytes(ICMPv6EchoRequest(id=77) if six else ICMP(type=8, id=77)), (vip, 0))
            with contextlib.suppress(TimeoutError):
                while True:
                    answer, sender = raw.recvfrom(2048)
                    if (answer[start], sender[0], answer[start + 4 : start + 6]) == (wanted, vip, b"\0\x4d"):
                        return True
        return False

    def get(self) -> bytes:
        """A whole answer of the web service."""
        with self.network.socket("client", socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            connection.connect((VIPS[0], 80))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n")
            answer = b""
            while more := connection.recv(4096):
                answer += more
        return answer


def _wire(network: Network) -> None:
    network.ip("edge", "link set lo up", "link add c type veth peer name eth1 netns " + network.full("client"))
    network.ip("client", "address add 198.51.100.2/24 dev eth1", "link set eth1 up")
    network.ip("client", "route add default via 198.51.100.1")
    network.ip("edge", "address add 198.51.100.1/24 dev c", "link set c up")
    for node, interface, number in LINKS:
        peer = f"p{number}"
        network.ip(
            "edge", f"link add {peer} mtu 1600 type veth peer name {interface} mtu 1600 netns {network.full(node)}"
        )
        network.ip("edge", f"address add 10.0.{number}.1/30 dev {peer}", f"link set {peer} up")
        network.ip(
            node, f"address add 10.0.{number}.2/30 dev {interface}", f"link set {interface} up", "link set lo up"
        )
        network.like_a_lab("edge", peer)
        network.like_a_lab(node, interface)
    network.like_a_lab("client", "eth1")
    network.like_a_lab("edge", "c")
    for node in ("edge", "l4", *L7):
        network.sysctl(node, "ipv4/ip_forward", "1")
        network.sysctl(node, "ipv4/conf/all/rp_filter", "0")
    # One backend by the link that the packet came in on, one by the other.
    network.ip(
        "l4", "address add 10.2.3.1/32 dev lo", "route add 10.2.4.1 via 10.0.1.1", "route add 10.2.4.2 via 10.0.2.1"
    )
    network.ip("edge", "route add 10.2.3.1 via 10.0.1.2", *(f"route add {vip} via 10.0.1.2" for vip in VIPS))
    for number, (name, address) in enumerate(L7.items(), start=3):
        network.ip(name, f"address add {address}/32 dev lo", *(f"address add {vip}/32 dev lo" for vip in VIPS))
        network.ip(name, f"route add default via 10.0.{number}.1")
        network.ip("edge", f"route add {address} via 10.0.{number}.2")


def _wire6(network: Network) -> None:
    """IPv6 from the client to the VIPs and straight back; the tunnels stay on IPv4."""
    for node in ("edge", "l4", *L7):
        network.sysctl(node, "ipv6/conf/all/forwarding", "1")
    network.ip("client", "address add 2001:db8:9::2/64 dev eth1 nodad", "route add default via 2001:db8:9::1")
    network.ip("edge", "address add 2001:db8:9::1/64 dev c nodad")
    for node, interface, number in LINKS:
        network.ip("edge", f"address add 2001:db8:0:{number}::1/64 dev p{number} nodad")
        network.ip(node, f"address add 2001:db8:0:{number}::2/64 dev {interface} nodad")
        if node in L7:
            network.ip(node, *(f"address add {vip}/128 dev lo nodad preferred_lft 0" for vip in VIPS6))
            network.ip(node, f"route add default via 2001:db8:0:{number}::1")
    network.ip("edge", *(f"route add {vip} via 2001:db8:0:1::2" for vip in VIPS6))


def l7_config(name: str) -> L7Config:
    """One L7 node's configuration, with an application in two regions."""
    apps = [("eu-app-1", "eu", "10.102.0.1"), ("us-app-1", "us", "10.101.0.1"), ("eu-app-2", "eu", "10.102.0.2")]
    raw = {
        "name": name,
        "region": "eu",
        "loopback": L7[name],
        "vips": [*(f"{vip}/32" for vip in VIPS), *(f"{vip}/128" for vip in VIPS6)],
        "port": 80,
        "tls": {"port": 443, "host": "web.test"},
        "apps": [{"name": n, "region": r, "address": a, "port": 8080} for n, r, a in apps],
        "others": [address for other, address in L7.items() if other != name],
    }
    parsed = parse_config(raw)
    assert isinstance(parsed.apps[0], App)
    return parsed


@contextmanager
def tier(decap_object: Path, echo_program: Path, scratch: Path) -> Iterator[Tier]:
    """The tier, its L7 nodes serving; the L4 node is empty."""
    with namespaces("client", "edge", "l4", *L7) as network:
        _wire(network)
        _wire6(network)
        served = {}
        for name in L7:
            with network.entered(name), load(l7_config(name), decap_object) as loaded:
                loaded.program("decapsulate").attach(socket.if_nametoindex("eth1"))
            served[name, "echo"] = network.start(name, str(echo_program), "7", name)
            path = {"PYTHONPATH": str(ROOT / "probes/reference")}
            served[name, "app"] = network.start(name, sys.executable, "-m", "app.app", name, "80", environment=path)
        (scratch / "vtysh").write_text(VTYSH)
        (scratch / "vtysh").chmod(0o755)
        (scratch / "told").touch()
        (scratch / "bgpd.vty").touch()
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{scratch}:{before}"
        try:
            yield Tier(network, served, scratch / "told")
        finally:
            os.environ["PATH"] = before


async def until(condition: Callable[[], bool], missing: str, deadline_s: float = 10) -> None:
    """Returns when the condition holds; at the deadline says what was missing."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not condition():
        assert loop.time() < end, f"after {deadline_s:g} s: {missing}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(built: Tier, config: L4Config, balance_object: Path) -> AsyncIterator[Agent]:
    """The agent at work in this loop; the caller is in the L4 node's namespace."""
    with DataPlane(config, balance_object) as plane:
        agent = Agent(config, plane, built.told.with_name("bgpd.vty"))
        task = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            agent.close()
