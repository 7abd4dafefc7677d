"""A link behaves like a wire: packets take the path that their 5-tuple says, and taps see what crosses a node."""

from __future__ import annotations

import struct
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import Describe, Up
from tests.topologies.lab.frames import IPIP, Capture, ip_packet, send_connected, send_ip, udp_packet
from topologies.linux.wire import Flow, Seen
from topologies.runtimes import LinuxLab

pytestmark = pytest.mark.lab
SOCKETS = 100
PORT = 7
CLIENT, SERVER, PAST_R = "10.0.1.1", "10.9.9.9", "10.0.4.2"
UDP, ICMP = 17, 1
FORK = """\
  nodes:
    c:
      exec:
        - ip address add 10.0.1.1/24 dev eth1
        - ip address add 10.0.4.1/24 dev eth2
        - ip route add default via 10.0.1.2
    r:
      sysctls: {net.ipv4.ip_forward: "1", net.ipv4.fib_multipath_hash_policy: "1"}
      exec:
        - ip address add 10.0.1.2/24 dev eth1
        - ip address add 10.0.2.1/24 dev eth2
        - ip address add 10.0.3.1/24 dev eth3
        - ip route add 10.9.9.9 nexthop via 10.0.2.2 nexthop via 10.0.3.2
    s:
      exec:
        - ip address add 10.9.9.9/32 dev lo
        - ip address add 10.0.2.2/24 dev eth1
        - ip address add 10.0.3.2/24 dev eth2
        - ip address add 10.0.4.2/24 dev eth3
        - ip route add 10.0.1.0/24 via 10.0.2.1
  links:
    - {endpoints: [c:eth1, r:eth1], mtu: 1500}
    - {endpoints: [r:eth2, s:eth1], mtu: 1500}
    - {endpoints: [r:eth3, s:eth2], mtu: 1500}
    - {endpoints: [c:eth2, s:eth3], mtu: 1500}
"""


@pytest.fixture
def fork(describe: Describe, up: Up) -> LinuxLab:
    """c – r = s: two equal next hops from r to s, and a link from c to s past r."""
    return up(describe(FORK))


@pytest.fixture
def at_s(fork: LinuxLab) -> Iterator[Capture]:
    with Capture(fork.netns("s")) as capture:
        yield capture


def _arrived(at_s: Capture, count: int) -> Counter[str]:
    """Interface → datagrams, once all have arrived."""
    wait_until(lambda: at_s.udp(PORT).total() >= count, f"{count} datagrams at s")
    return at_s.udp(PORT)


def test_one_5_tuple_takes_one_path_whatever_socket_sends_it(fork: LinuxLab, at_s: Capture) -> None:
    send_connected(fork.netns("c"), (CLIENT, 5000), (SERVER, PORT), sockets=SOCKETS)
    assert list(_arrived(at_s, SOCKETS).values()) == [SOCKETS]


def test_5_tuples_spread_over_both_paths(fork: LinuxLab, at_s: Capture) -> None:
    for port in range(5000, 5000 + SOCKETS):
        send_connected(fork.netns("c"), (CLIENT, port), (SERVER, PORT))
    arrived = _arrived(at_s, SOCKETS)
    assert set(arrived) == {"eth1", "eth2"}
    assert min(arrived.values()) > SOCKETS // 10  # a fair coin gives less in one of 10^17 runs


def test_without_the_wire_one_5_tuple_would_take_both_paths(fork: LinuxLab, at_s: Capture) -> None:
    """Shows that the first test can fail: a bare veth hands the sending socket's own hash to the router."""
    for node in "cr":
        command = ["nsenter", f"--net={fork.netns(node)}", "tc", "qdisc", "del", "dev", "eth1", "clsact"]
        subprocess.run(command, check=True, capture_output=True)
    send_connected(fork.netns("c"), (CLIENT, 5000), (SERVER, PORT), sockets=SOCKETS)
    assert set(_arrived(at_s, SOCKETS)) == {"eth1", "eth2"}


def _tapped(lab: LinuxLab) -> dict[tuple[str, str, Flow], Seen]:
    return {(c.sender, c.receiver, c.flow): c.seen for c in lab.tapped()}


def _tap_anew(lab: LinuxLab, node: str) -> None:
    lab.wire.forget_taps()
    lab.tap([node])


def test_a_tap_sees_both_directions_of_what_crosses_its_node_and_nothing_else(fork: LinuxLab, at_s: Capture) -> None:
    _tap_anew(fork, "r")
    with Capture(fork.netns("c")) as at_c:
        send_connected(fork.netns("c"), (CLIENT, 5000), (SERVER, PORT), sockets=SOCKETS)
        send_connected(fork.netns("c"), ("10.0.4.1", 5000), (PAST_R, PORT), sockets=SOCKETS)
        send_connected(fork.netns("s"), (SERVER, PORT), (CLIENT, 5000), sockets=SOCKETS)
        _arrived(at_s, 2 * SOCKETS)
        wait_until(lambda: at_c.udp(5000).total() == SOCKETS, "the answers")
    there = Flow(CLIENT, 5000, SERVER, PORT, UDP)
    back = there.reversed()
    tapped = _tapped(fork)
    assert set(tapped) == {("c", "r", there), ("r", "s", there), ("s", "r", back), ("r", "c", back)}
    assert all(0 < seen.first_ns < seen.last_ns for seen in tapped.values())
    assert fork.wire.take_tap_overflow() == fork.wire.tap_overflow() == 0
    assert {(c.sender, c.receiver, c.flow): c.seen for c in fork.take_tapped()} == tapped
    assert _tapped(fork) == {}, "it was let go of"


def test_a_tap_names_a_tunnels_inner_flow(fork: LinuxLab) -> None:
    inner = udp_packet(("198.51.100.1", 1234), ("203.0.113.20", PORT))
    with Capture(fork.netns("s")) as at_s:
        _tap_anew(fork, "r")
        send_ip(fork.netns("c"), ip_packet(CLIENT, SERVER, IPIP, inner), SERVER, count=SOCKETS)
        wait_until(lambda: sum(inner in frame for _, frame in at_s.frames()) >= SOCKETS, "the tunnel's packets at s")
    flow = Flow("198.51.100.1", 1234, "203.0.113.20", PORT, UDP)
    assert set(_tapped(fork)) == {("c", "r", flow), ("r", "s", flow)}


def test_a_tap_on_links_does_not_see_their_nodes_other_links(fork: LinuxLab, at_s: Capture) -> None:
    links = [x for x in fork.topology.links_of("r") if x.end_beyond("r").node == "s"]
    fork.wire.forget_taps()
    fork.tap(links=links)
    send_connected(fork.netns("c"), (CLIENT, 5000), (SERVER, PORT), each=10)
    _arrived(at_s, 10)
    assert set(_tapped(fork)) == {("r", "s", Flow(CLIENT, 5000, SERVER, PORT, UDP))}


def test_a_tap_knows_an_echo_by_its_identifier_and_a_syn_without_the_clients_port(fork: LinuxLab) -> None:
    _tap_anew(fork, "r")
    assert fork.exec("c", ["ping", "-c1", "-e", "7", SERVER]).code == 0
    syn = ip_packet(CLIENT, SERVER, 6, struct.pack("!HHIIBBHHH", 6000, 80, 1, 0, 5 << 4, 2, 8192, 0, 0))
    with Capture(fork.netns("s")) as at_s:
        send_ip(fork.netns("c"), syn, SERVER, count=1)
        wait_until(lambda: any(syn[20:] in frame for _, frame in at_s.frames()), "the SYN at s")
    echo = Flow(CLIENT, 7, SERVER, 7, ICMP)
    assert {flow for _, _, flow in _tapped(fork)} == {echo, echo.reversed(), Flow(CLIENT, 0, SERVER, 80, 6)}


def test_a_tap_that_was_closed_records_no_more_and_a_new_one_forgets(fork: LinuxLab, at_s: Capture) -> None:
    _tap_anew(fork, "r")
    send_connected(fork.netns("c"), (CLIENT, 5000), (SERVER, PORT), each=10)
    _arrived(at_s, 10)
    fork.untap(["r"])
    before = _tapped(fork)
    send_connected(fork.netns("c"), (CLIENT, 5001), (SERVER, PORT), each=10)
    _arrived(at_s, 20)
    assert _tapped(fork) == before != {}
    _tap_anew(fork, "r")
    assert _tapped(fork) == {}
