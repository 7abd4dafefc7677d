"""Faults of the lab's own making: what the kernel tells of them, and that it tells nothing where frames just stop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scenarios.dropped import kernel_drops
from tests.probes.conftest import wait_until
from tests.probes.drops.conftest import SENTINEL_FLOW, SENTINEL_PORT, Reading
from tests.probes.drops.sending import Sender
from tests.topologies.lab.conftest import Describe, Up
from topologies.model import Link
from topologies.runtimes import LinuxLab

pytestmark = pytest.mark.lab
RESPONDER = Path(__file__).resolve().parents[1] / "responder.py"
A, B, SERVICE = "10.0.1.1", "10.0.2.1", ("10.0.9.1", 7)
CHAIN = f"""\
  nodes:
    a: {{exec: [ip address add {A}/24 dev eth1, ip route add default via 10.0.1.2]}}
    r:
      sysctls: {{net.ipv4.ip_forward: "1"}}
      exec:
        - ip address add 10.0.1.2/24 dev eth1
        - ip address add 10.0.2.2/24 dev eth2
        - ip route add 10.0.9.1 via {B}
    b:
      cmd: sh -c "ip address add 10.0.9.1/32 dev lo; exec python3 -S /responder.py udp 10.0.9.1 7 b"
      binds: ["{RESPONDER}:/responder.py:ro"]
      exec: [ip address add {B}/24 dev eth1, ip route add default via 10.0.2.2]
  links:
    - {{endpoints: [a:eth1, r:eth1], mtu: 1500}}
    - {{endpoints: [r:eth2, b:eth1], mtu: 1500}}
"""


@pytest.fixture
def chain(describe: Describe, up: Up) -> LinuxLab:
    """a – r – b with a service, its neighbours known."""
    return up(describe(CHAIN))


@pytest.fixture
def sent(chain: LinuxLab) -> Iterator[Sender]:
    with Sender(chain.netns("a"), A, "::1") as sender:
        while True:  # until the service listens
            sender.probe(0, 0, to=SERVICE)
            try:
                sender.answers(1, deadline_s=1)
            except (TimeoutError, ConnectionRefusedError):
                continue
            break
        yield sender


@pytest.fixture
def reading(chain: LinuxLab, sent: Sender) -> Iterator[Reading]:
    assert sent.four.fileno() >= 0, "after the service was seen to answer"
    with kernel_drops({node: chain.netns(node) for node in "arb"}) as drops:
        yield Reading(drops)
        assert drops.lost == 0


@pytest.fixture
def sentinel(sent: Sender) -> Callable[[], None]:
    """A drop that no fault of the network can keep away."""
    return lambda: sent.probe(SENTINEL_FLOW, 0, to=(A, SENTINEL_PORT))


def _link(lab: LinuxLab, a: str, b: str) -> Link:
    return next(x for x in lab.topology.links_of(a) if x.end_beyond(a).node == b)


def test_a_link_that_is_cut_silently_has_no_drops(
    chain: LinuxLab, sent: Sender, reading: Reading, sentinel: Callable[[], None]
) -> None:
    chain.cut_link(_link(chain, "r", "b"))
    sent.probes(3, SERVICE, count=20)
    assert reading.until_sentinel(sentinel) == []


def test_a_node_that_is_dead_has_no_drops(
    chain: LinuxLab, sent: Sender, reading: Reading, sentinel: Callable[[], None]
) -> None:
    chain.kill(["r"])
    sent.probes(3, SERVICE, count=20)
    assert reading.until_sentinel(sentinel) == []


def test_a_node_that_is_frozen_has_no_drops_while_its_queues_have_room(
    chain: LinuxLab, sent: Sender, reading: Reading, sentinel: Callable[[], None]
) -> None:
    chain.freeze(["b"])
    sent.probes(3, SERVICE, count=20)
    assert reading.until_sentinel(sentinel) == []
    chain.thaw(["b"])
    sent.answers(20)


def test_a_node_that_is_frozen_drops_once_they_are_full(chain: LinuxLab, sent: Sender, reading: Reading) -> None:
    """Shows that the test before could fail."""
    chain.freeze(["b"])
    sent.probes(3, SERVICE, count=10_000)
    drops = reading.until_sentinel(lambda: sent.probe(SENTINEL_FLOW, 0, to=(SERVICE[0], SENTINEL_PORT)))
    assert {(d.node, d.interface, d.reason) for d in drops} == {("b", "eth1", "SOCKET_RCVBUFF")}
    chain.thaw(["b"])


def test_a_link_that_lost_its_carrier(chain: LinuxLab, sent: Sender, reading: Reading) -> None:
    """The route stays, its neighbour is forgotten: packets wait for it and are dropped when it does not answer."""
    chain.drop_carrier(_link(chain, "r", "b"))
    drop = reading.await_carrier_loss(3, lambda seq: sent.probe(3, seq, to=SERVICE), ("r", "eth2"))
    assert not drop.carrier


def test_a_service_that_was_killed(chain: LinuxLab, sent: Sender, reading: Reading) -> None:
    """What still finds its socket while it dies is gone with it, unseen; what comes later finds none."""
    chain.signal("b", "python3", 9)
    numbers = itertools.count()

    def dropped() -> bool:
        sent.probe(3, next(numbers), to=SERVICE)
        return len(reading.of(3)) >= 3

    wait_until(dropped, "drops for want of a socket")
    assert {(d.node, d.interface, d.words) for d in reading.of(3)} == {("b", "eth1", "no socket listens")}
