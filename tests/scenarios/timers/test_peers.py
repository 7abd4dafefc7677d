"""Which sessions a fault can silence: those with what it breaks, those over a link that it cuts, and those that pass others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scenarios.faults.base import FaultPlan
from scenarios.timers.command_lines import (
    bird_socket,
    haproxy_directory,
    haproxy_files,
    keepalived_file,
    keepalived_instance,
)
from scenarios.timers.model import Peer
from scenarios.timers.peers import Whereabouts, may_be_silenced, silences_nothing
from tests.topologies.files import small_topology
from topologies.model import Endpoint, Link

CHAIN = small_topology("transit", "edge", "l4", "l7")  # transit0:right – edge1:left … l7 3:left
TWICE = replace(CHAIN, links=(*CHAIN.links, Link((Endpoint("edge1", "second"), Endpoint("l42", "second")))))
OWNERS = {"10.0.0.1": {"edge1"}, "10.0.0.2": {"l42"}, "fd00::3": {"l73"}, "203.0.113.10": {"l42", "l73"}}
PLACE = Whereabouts(TWICE, OWNERS)
KILL = FaultPlan("kill-node", "l42", "l4", ("l42",), "Killed", "L4 node l42", kills=True)
CUT = FaultPlan("cut-link", "x", "edge", (), "Cut", "link", (TWICE.links[1],))


@pytest.mark.parametrize(
    ("peer", "node"),
    [
        (Peer("BGP", "", "right"), "l42"),
        (Peer("BGP", "fe80::1", "left"), "transit0"),
        (Peer("BGP", "10.0.0.2"), "l42"),
        (Peer("BGP", "FD00:0::3"), "l73"),
        (Peer("BGP", "203.0.113.10"), ""),
        (Peer("BGP", "10.0.0.1"), ""),
        (Peer("BGP", "10.0.0.2", "br0"), "l42"),
        (Peer("BGP", "192.0.2.1"), ""),
    ],
)
def test_a_peer_is_found_by_its_interface_or_by_an_address_of_its_own(peer: Peer, node: str) -> None:
    assert PLACE.node_of("edge1", peer) == node


@pytest.mark.parametrize(
    ("asker", "peer", "plan", "silenced"),
    [
        ("edge1", Peer("BGP", "10.0.0.2"), KILL, True),
        ("edge1", Peer("BGP", "", "right"), KILL, True),
        ("edge1", Peer("BGP", "", "left"), KILL, False),
        ("l42", Peer("BGP", "10.0.0.1"), KILL, False),  # what is dead times nothing
        ("edge1", Peer("BGP", "fd00::3"), KILL, True),  # they share no link: it passes others
        ("edge1", Peer("BGP", "192.0.2.1"), KILL, True),  # nobody knows where it is
        ("edge1", Peer("BGP", "", "right"), CUT, True),
        ("l42", Peer("BGP", "", "left"), CUT, True),
        ("edge1", Peer("BGP", "", "second"), CUT, False),  # the other link between the two
        ("edge1", Peer("BGP", "10.0.0.2"), CUT, True),  # by one of their links, which one is not known
        ("edge1", Peer("BGP", "", "left"), CUT, False),
    ],
)
def test_what_a_fault_may_silence(asker: str, peer: Peer, plan: FaultPlan, silenced: bool) -> None:
    assert may_be_silenced(PLACE, asker, peer, plan) is silenced


@pytest.mark.parametrize(
    ("process", "running", "spared"),
    [
        ("envoy", {"envoy", "bgpd"}, True),
        ("bgpd", {"envoy", "bgpd"}, False),
        ("speaker", {"speaker"}, False),  # nothing known holds sessions there, so it may be this one
        ("", {"bgpd"}, False),
    ],
)
def test_a_process_that_holds_no_session_silences_none(process: str, running: set[str], spared: bool) -> None:
    assert silences_nothing(process, running) is spared


@pytest.mark.parametrize(
    ("line", "file", "instance"),
    [
        ("keepalived", "/etc/keepalived/keepalived.conf", ""),
        ("keepalived -n -l -f /tmp/l/keepalived.conf", "/tmp/l/keepalived.conf", ""),
        ("keepalived -nlf/a -i main", "/a", "main"),
        ("keepalived --use-file=/a --config-id main -P", "/a", "main"),
        ("keepalived --use-file /a -p /run/f.pid -imain", "/a", "main"),
        ("keepalived -f", "/etc/keepalived/keepalived.conf", ""),
    ],
)
def test_keepalived_is_given_a_file_or_takes_its_own(line: str, file: str, instance: str) -> None:
    assert (keepalived_file(line.split()), keepalived_instance(line.split())) == (file, instance)


@pytest.mark.parametrize(
    ("line", "files", "directory"),
    [
        ("haproxy -db -f /tmp/l/haproxy.cfg", ("/tmp/l/haproxy.cfg",), ""),
        ("haproxy -Ws -f a -f conf.d -p /run/h.pid -C /etc/haproxy", ("a", "conf.d"), "/etc/haproxy"),
        ("haproxy -sf 12 -- a b", ("a", "b"), ""),
        ("haproxy -f", (), ""),
        ("haproxy -C", (), ""),
    ],
)
def test_haproxy_is_given_its_files(line: str, files: tuple[str, ...], directory: str) -> None:
    assert (haproxy_files(line.split()), haproxy_directory(line.split())) == (files, directory)


@pytest.mark.parametrize(
    ("line", "socket"),
    [("bird -f -c /tmp/l/bird.conf", ""), ("bird -s /run/b.ctl -f", "/run/b.ctl"), ("bird -fs/b", "/b")],
)
def test_bird_is_given_its_socket(line: str, socket: str) -> None:
    assert bird_socket(line.split()) == socket
