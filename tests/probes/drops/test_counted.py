"""The fallback on real drops: which node has counted them, where, and for what."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from probes.drops.counters import CountedDrops, Counts, difference
from scenarios.dropped import count_drops
from tests.probes.conftest import wait_until
from tests.probes.drops.sending import Sender, probe_payload
from tests.probes.wire import SERVER, SERVER6, Wire, ip
from topologies.linux.netns import inside

pytestmark = pytest.mark.lab
COUNT = 10
both_families = pytest.mark.parametrize("to", [SERVER, SERVER6], ids=["v4", "v6"])


class Counting:
    """Counters since this was made."""

    def __init__(self, lab: Wire) -> None:
        self.namespaces = {node: lab.netns(node) for node in "crs"}
        self.before = count_drops(self.namespaces)

    def added(self) -> list[CountedDrops]:
        now: dict[str, Counts] = count_drops(self.namespaces)
        return [drops for node in "crs" for drops in difference(node, self.before[node], now[node])]

    def await_drops(self, node: str, place: str, reason: str, count: int = COUNT) -> None:
        """Until that many were counted there for this reason, and nothing else anywhere."""

        def counted() -> int:
            return sum(d.count for d in self.added() if self._is(d, node, place, reason))

        wait_until(lambda: counted() >= count, f"{count} drops in {node} for {reason}")
        assert counted() == count
        assert [d for d in self.added() if not self._is(d, node, place, reason)] == []

    @staticmethod
    def _is(d: CountedDrops, node: str, place: str, reason: str) -> bool:
        return (d.node, d.counter.place, d.counter.reason) == (node, place, reason)


@pytest.fixture
def counting(lab: Wire, sent: Sender) -> Callable[[], Counting]:
    assert sent.four.fileno() >= 0, "before the first reading, so that no neighbour is looked for in between"
    return lambda: Counting(lab)


def run(lab: Wire, node: str, *command: str) -> None:
    subprocess.run(["nsenter", f"--net={lab.netns(node)}", *command], check=True, capture_output=True)


Begin = Callable[[], Counting]


@both_families
def test_what_arrives_is_counted_by_nobody(lab: Wire, sent: Sender, counting: Begin, to: str) -> None:
    lab.responder("udp", to, "7", "be-1")
    begun = counting()
    sent.probes(3, (to, 7), count=100)
    sent.answers(100, family=6 if ":" in to else 4)
    assert begun.added() == []


@both_families
def test_a_closed_port(sent: Sender, counting: Begin, to: str) -> None:
    begun = counting()
    sent.probes(3, (to, 9), count=COUNT)
    begun.await_drops("s", "", "NO_SOCKET")


@pytest.mark.parametrize("to", ["10.77.0.1", "fd77::1"])
def test_no_route(sent: Sender, counting: Begin, to: str) -> None:
    begun = counting()
    sent.probes(3, (to, 7), count=COUNT)
    begun.await_drops("r", "", "IP_INNOROUTES")


@both_families
def test_ttl_exceeded(sent: Sender, counting: Begin, to: str) -> None:
    begun = counting()
    sent.probes(3, (to, 7), count=COUNT, ttl=1)
    begun.await_drops("r", "", "IP_INHDR")


@both_families
def test_larger_than_the_mtu(lab: Wire, sent: Sender, counting: Begin, to: str) -> None:
    ip("link set s mtu 1300", node=f"{lab.name}-r")
    begun = counting()
    sent.probes(3, (to, 7), count=COUNT, padding=1250)
    wait_until(lambda: bool(begun.added()), "a count")
    assert {(d.node, d.counter.reason) for d in begun.added()} == {("r", "PKT_TOO_BIG")}


def test_a_full_socket(lab: Wire, sent: Sender, counting: Begin) -> None:
    def opened() -> socket.socket:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        receiver.bind((SERVER, 7))
        return receiver

    begun = counting()
    with inside(lab.netns("s"), opened):
        sent.probes(3, (SERVER, 7), count=50)
        wait_until(lambda: bool(begun.added()), "a count")
        assert {(d.node, d.counter.name, d.words) for d in begun.added()} == {
            ("s", "Udp:RcvbufErrors", "socket's receive buffer full")
        }


def test_reverse_path_filter(lab: Wire, sent: Sender, counting: Begin) -> None:
    for scope in ("all", "c"):
        lab.sysctl("r", f"ipv4/conf/{scope}/rp_filter").write("1")
    begun = counting()
    for seq in range(COUNT):
        sent.packet(IP(src="10.55.0.1", dst=SERVER) / UDP(sport=99, dport=7) / Raw(probe_payload(3, seq)))
    begun.await_drops("r", "", "IP_RPFILTER")


@both_families
def test_an_nft_rule_with_a_counter(lab: Wire, sent: Sender, counting: Begin, to: str) -> None:
    run(lab, "r", "nft", "add table inet t; add chain inet t f { type filter hook forward priority 0; }")
    run(lab, "r", "nft", "add rule inet t f udp dport 7 counter drop; add rule inet t f udp dport 9 counter accept")
    begun = counting()
    sent.probes(3, (to, 7), count=COUNT)
    begun.await_drops("r", "t f", "NETFILTER_DROP")


def test_a_full_queue(lab: Wire, sent: Sender, counting: Begin) -> None:
    run(lab, "r", *"tc qdisc add dev s root tbf rate 8kbit burst 2000 limit 2000".split())
    begun = counting()
    sent.probes(3, ("10.9.2.77", 7), count=100)  # to nobody, so that nothing happens behind the queue
    ip("neighbour replace 10.9.2.77 lladdr 2:0:0:0:0:1 dev s nud permanent", node=f"{lab.name}-r")
    sent.probes(3, ("10.9.2.77", 7), count=100)
    wait_until(lambda: sum(d.count for d in begun.added()) > 50, "counts")
    # Except r's own MLD reports, which may meet the full queue as well.
    found = [d for d in begun.added() if d.counter.name != "Ip6:OutDiscards"]
    assert {(d.node, d.counter.source, d.counter.place, d.counter.reason) for d in found} == {
        ("r", "queue", "s", "QDISC_DROP")
    }


def test_a_namespace_that_is_gone_is_left_out(lab: Wire) -> None:
    assert {*count_drops({"c": lab.netns("c"), "gone": Path("/run/netns/nobody")})} == {"c"}


@both_families
def test_a_link_without_carrier(lab: Wire, sent: Sender, counting: Begin, to: str) -> None:
    begun = counting()
    ip("link set eth1 down", node=f"{lab.name}-s")
    sent.probes(3, (to, 7), count=COUNT)
    wait_until(lambda: bool(begun.added()), "a count")
    told = {(d.node, d.counter.place, d.counter.reason): d.count for d in begun.added()}
    assert told["r", "s", "TX_DROPPED"] >= COUNT, "and what the link itself had to say to its end"


@both_families
def test_a_route_that_discards_is_counted_by_nobody(lab: Wire, sent: Sender, counting: Begin, to: str) -> None:
    """Why counters are only the second choice."""
    ip(f"route add blackhole {to}/{128 if ':' in to else 32}", node=f"{lab.name}-r")
    begun = counting()
    sent.probes(3, (to, 7), count=COUNT)
    sent.probes(4, ("10.77.0.1", 7), count=COUNT)
    begun.await_drops("r", "", "IP_INNOROUTES")
