"""Where on its way through the reference's roles a probe can be made to die: the stages of the way. Pure: from a lab's links."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cli.rates.trial import Drop

INNER_SOURCE = 8 * (20 + 12)
INNER_DESTINATION = 8 * (20 + 16)
"""Where the addresses of a packet stand in bits, behind the outer header of an IPIP tunnel (RFC 2003)."""


@dataclass(frozen=True, slots=True)
class Joint:
    """One end of a link: a node, its interface, its role, and the role of the node at the other end."""

    node: str
    interface: str
    role: str
    peer_role: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way, which ends where a `role` receives from a `peer_role` probes or answers, or probes in a tunnel."""

    name: str
    role: str
    peer_role: str
    what: Literal["probe", "tunnel", "answer"]


WAY = (
    Stage("sent, and over the first link", "transit", "client", "probe"),
    Stage("transit, and on to the edge", "edge", "transit", "probe"),
    Stage("edge, L4, and back in a tunnel", "edge", "l4", "tunnel"),
    Stage("edge, L7, out of the tunnel", "l7", "edge", "probe"),
    Stage("answered, and back to the edge", "edge", "l7", "answer"),
    Stage("edge, and on to transit", "transit", "edge", "answer"),
    Stage("transit, and on to the client", "client", "transit", "answer"),
)
RECEIVED = "received and recorded"


def drops_at(
    stage: Stage, joints: Iterable[Joint], sources: Mapping[str, str], vip: str, port: int
) -> tuple[Drop, ...]:
    """Where the probes of these sources (IPv4) to the service die at the end of a stage, and nothing else does."""
    if stage.what == "probe":
        matches = tuple(f"ip saddr {s} ip daddr {vip} udp dport {port}" for s in sources.values())
    elif stage.what == "answer":
        matches = tuple(f"ip saddr {vip} ip daddr {s} udp sport {port}" for s in sources.values())
    else:
        there = f"ip protocol 4 @nh,{INNER_DESTINATION},32 {_number(vip)}"
        matches = tuple(f"{there} @nh,{INNER_SOURCE},32 {_number(s)}" for s in sources.values())
    return tuple(
        Drop(j.node, j.interface, matches) for j in joints if (j.role, j.peer_role) == (stage.role, stage.peer_role)
    )


def _number(address: str) -> str:
    return f"{int(ipaddress.IPv4Address(address)):#010x}"
