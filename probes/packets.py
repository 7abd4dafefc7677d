"""Plans probe flows and crafts a whole packet for each with scapy. Knows headers, not how or when anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

PAYLOAD_MAGIC = b"NSPF"
PAYLOAD_BYTES = 64
"""A probe: magic, flow u32, sequence u64, due time u64 (network byte order), then padding. An answer appends a name."""


@dataclass(frozen=True, slots=True)
class ProbeFlow:
    """One fixed 5-tuple, probed once per `interval_ns`, its first probe `phase_ns` after the prober's start."""

    id: int
    vantage: str
    service: str
    src: str
    sport: int
    dst: str
    dport: int
    interval_ns: int
    phase_ns: int


def plan_flows(
    vantage: str,
    src: str,
    service_name: str,
    vip: str,
    port: int,
    count: int,
    interval_ns: int,
    *,
    first_id: int = 0,
    base_port: int = 20000,
) -> tuple[ProbeFlow, ...]:
    """`count` flows from a vantage to a service, source ports from `base_port` up, phases staggered over an interval.

    Raises ValueError for a count, interval or port that cannot be probed, or addresses of two families.
    """
    if count < 1 or interval_ns < count:
        raise ValueError(f"{count} flows every {interval_ns} ns: at least one flow, and 1 ns between two, are needed")
    if not 0 < base_port <= base_port + count - 1 <= 65535 or not 0 < port <= 65535:
        raise ValueError(f"source ports {base_port}..{base_port + count - 1} to port {port}: ports are 1 to 65535")
    if ipaddress.ip_address(src).version != ipaddress.ip_address(vip).version:
        raise ValueError(f"{src} cannot reach {vip}: the addresses are of two families")
    return tuple(
        ProbeFlow(
            id=first_id + i,
            vantage=vantage,
            service=service_name,
            src=src,
            sport=base_port + i,
            dst=vip,
            dport=port,
            interval_ns=interval_ns,
            phase_ns=i * interval_ns // count,
        )
        for i in range(count)
    )


def payload(flow_id: int) -> bytes:
    """A probe's payload with sequence and due time still zero; the padding differs per flow, so that a mix-up shows."""
    head = PAYLOAD_MAGIC + flow_id.to_bytes(4, "big") + bytes(16)
    return head + bytes((flow_id + i) & 0xFF for i in range(PAYLOAD_BYTES - len(head)))


def template(flow: ProbeFlow, *, tos: int = 0, ttl: int = 64) -> Packet:
    """The flow's packet from the network header up, as it shall look on the wire."""
    network: Any
    if ipaddress.ip_address(flow.dst).version == 6:
        network = IPv6(src=flow.src, dst=flow.dst, tc=tos, hlim=ttl)
    else:
        network = IP(src=flow.src, dst=flow.dst, tos=tos, ttl=ttl)
    return network / UDP(sport=flow.sport, dport=flow.dport) / Raw(payload(flow.id))
