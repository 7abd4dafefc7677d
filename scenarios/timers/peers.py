"""Which node a session is with, and which sessions a fault can silence. Pure; it asks no node."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scenarios.faults.base import FaultPlan
from scenarios.timers.model import Peer
from topologies.model import Topology

SPEAKERS = frozenset({"bgpd", "ospfd", "ospf6d", "bird", "bird6", "gobgpd"})
"""Programs that hold sessions, by command name: while one of them runs, no other process of its node silences them."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The topology, and the nodes that have each address; an address of several nodes is none of theirs."""

    topology: Topology
    owners: Mapping[str, Collection[str]]

    def node_of(self, asker: str, peer: Peer) -> str:
        """The node that `asker` has this session with; empty where that is not known."""
        if peer.interface:
            for link in self.topology.links:
                for end in link.endpoints:
                    if (end.node, end.interface) == (asker, peer.interface):
                        return link.end_beyond(asker).node
        owners = [node for node in self.owners.get(_plain(peer.address), ()) if node != asker]
        return owners[0] if len(owners) == 1 else ""


def may_be_silenced(place: Whereabouts, asker: str, peer: Peer, plan: FaultPlan) -> bool:
    """Whether the fault can keep the peer's messages from `asker`: what can is asked, what cannot never is.

    Sessions of a broken node's own are none: what is broken times nothing that counts. A session between nodes that share no
    link passes others, and so does one with a node that is not known; both may be silenced by any fault.
    """
    if asker in plan.nodes:
        return False
    other = place.node_of(asker, peer)
    if not other or other in plan.nodes:
        return True
    between = [link for link in place.topology.links if {end.node for end in link.endpoints} == {asker, other}]
    if not between:
        return True
    return any(link in plan.links and peer.interface in ("", link.end_at(asker).interface) for link in between)


def silences_nothing(process: str, running: Collection[str]) -> bool:
    """Whether a fault of that process alone leaves the node's sessions as they are: another one holds them."""
    return bool(process) and process not in SPEAKERS and not SPEAKERS.isdisjoint(running)


def _plain(address: str) -> str:
    """An address as the kernel's is written here; itself where it is none."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address
