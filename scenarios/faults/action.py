"""Faults that are an action of the contract, run in the node: what drain and withdraw share."""

from __future__ import annotations

from scenarios.protocols import TCP
from scenarios.touching import SYN_PORT
from topologies.linux.wired import Crossing

IDLE_NS = 500_000_000
"""A flow of which for so long no packet came is over."""


def _began_ns(c: Crossing) -> int:
    """When the newest connection of a flow began: that of SYNs with its last one; an established one of TCP began before."""
    if c.flow.protocol == TCP:
        return c.seen.last_ns if c.flow.sport == SYN_PORT else 0
    return c.seen.first_ns
