"""A BFD session that fell silent by itself is told; one that the fault silenced, or may have, is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.watch import TimelineEvent
from scenarios.faults.base import FaultPlan
from scenarios.silenced import EXPIRED, silenced
from topologies.model import Endpoint, Link

LINK = Link((Endpoint("c", "eth1"), Endpoint("d", "eth2")))
KILL = FaultPlan("kill-node", "x", "l4", ("x", "y"), "Killed x", "x")
CUT = FaultPlan("cut-link", str(LINK), None, (), "Cut", "link", (LINK,))
NODES = frozenset("abcdxy")
FELL = TimelineEvent(1, 0, "a", "bfd", "down", EXPIRED, "b", "eth1")


def test_a_session_that_nobody_touched_is_named_by_its_ends() -> None:
    assert silenced([FELL, FELL], KILL, NODES) == ("a with b",)
    assert silenced([FELL, replace(FELL, node="b", peer="a")], CUT, NODES) == ("a with b", "b with a")


@pytest.mark.parametrize(
    "event",
    [
        replace(FELL, what="up", detail=""),
        replace(FELL, detail="neighbour signalled session down"),
        replace(FELL, detail="administratively down"),
        replace(FELL, source="bgp"),
        replace(FELL, peer="x"),
        replace(FELL, node="y"),
        replace(FELL, peer="10.0.0.1"),
        replace(FELL, peer=None),
    ],
    ids=["up", "told by its neighbour", "by hand", "of BGP", "with what was killed", "at it", "over hops", "nobody's"],
)
def test_what_the_fault_may_have_silenced_is_not(event: TimelineEvent) -> None:
    assert silenced([event], KILL, NODES) == ()


@pytest.mark.parametrize("end", [("c", "eth1", "d"), ("d", "eth2", "c")])
def test_a_session_over_the_cut_link_is_not_and_one_over_another_link_is(end: tuple[str, str, str]) -> None:
    node, interface, peer = end
    assert silenced([replace(FELL, node=node, interface=interface, peer=peer)], CUT, NODES) == ()
    assert silenced([replace(FELL, node=node, interface="eth9", peer=peer)], CUT, NODES) == (f"{node} with {peer}",)
