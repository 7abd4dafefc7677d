"""Plans probe flows and crafts a whole packet for each with scapy. Knows headers, not how or when anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

PAYLOAD_MAGIC = b"NSPF"
PAYLOAD_BYTES = 64
"""A probe: magic, flow u32, sequence u64, due time u64 (network byte order), then padding. An answer appends a name."""


Transport = Literal["udp", "tcp", "icmp"]

BASE_PORT: dict[Transport, int] = {"udp": 20000, "tcp": 2000, "icmp": 20000}
"""TCP's ports lie below those of long-lived connections and of Linux's own choice (ip_local_port_range)."""

PHASES = 20
"""Different phases in one interval: to wake up costs the prober more than to send, so flows of one phase share a wake-up."""

REUSE_AFTER_NS = 60_000_000_000
"""A TCP source port rests so long, TIME_WAIT on Linux, before its next SYN: no server takes it for an old connection."""


@dataclass(frozen=True, slots=True)
class ProbeFlow:
    """One fixed 5-tuple, probed once per `interval_ns`, its first probe `phase_ns` after the prober's start.

    With ICMP `sport` is the identifier and `dport` 0. With TCP each probe is a SYN from a source port of its own, the
    n-th from `sport + n % ports`: such a flow has no single path and tells of new connections, not of a black hole.
    """

    id: int
    vantage: str
    service: str
    src: str
    sport: int
    dst: str
    dport: int
    interval_ns: int
    phase_ns: int
    transport: Transport = "udp"
    ports: int = 1

    @property
    def family(self) -> Literal[4, 6]:
        """The IP version."""
        return 6 if ":" in self.dst else 4


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
    base_port: int | None = None,
    transport: Transport = "udp",
    ports: int | None = None,
) -> tuple[ProbeFlow, ...]:
    """`count` flows from a vantage to a service, source ports from `base_port` up, phases staggered over an interval.

    `ports` is how many each flow has (None: one, and of TCP as many as 60 s of probes need, so that none is used again
    before). ICMP has identifiers for source ports and no `port`. Raises ValueError for a count, interval or port that
    cannot be probed, or addresses of two families.
    """
    if count < 1 or interval_ns < count:
        raise ValueError(f"{count} flows every {interval_ns} ns: at least one flow, and 1 ns between two, are needed")
    base = BASE_PORT[transport] if base_port is None else base_port
    if ports is None:
        ports = -(-REUSE_AFTER_NS // interval_ns) if transport == "tcp" else 1
    elif ports < 1 or (transport != "tcp" and ports > 1):
        raise ValueError(f"{ports} source ports per flow of {transport}: only TCP has more than one")
    far = 0 if transport == "icmp" else port
    if (
        not 0 < base <= base + count * ports - 1 <= 65535
        or not 0 <= far <= 65535
        or (far == 0) != (transport == "icmp")
    ):
        raise ValueError(f"source ports {base}..{base + count * ports - 1} to port {port}: ports are 1 to 65535")
    if ipaddress.ip_address(src).version != ipaddress.ip_address(vip).version:
        raise ValueError(f"{src} cannot reach {vip}: the addresses are of two families")
    phases = min(count, PHASES)
    return tuple(
        ProbeFlow(
            id=first_id + i,
            vantage=vantage,
            service=service_name,
            src=src,
            sport=base + i * ports,
            dst=vip,
            dport=far,
            interval_ns=interval_ns,
            phase_ns=i * phases // count * interval_ns // phases,
            transport=transport,
            ports=ports,
        )
        for i in range(count)
    )


def payload(flow_id: int) -> bytes:
    """A probe's payload with sequence and due time still zero; the padding differs per flow, so that a mix-up shows."""
    head = PAYLOAD_MAGIC + flow_id.to_bytes(4, "big") + bytes(16)
    return head + bytes((flow_id + i) & 0xFF for i in range(PAYLOAD_BYTES - len(head)))


def template(flow: ProbeFlow, *, tos: int = 0, ttl: int = 64) -> Packet:
    """The flow's packet from the network header up, as it shall look on the wire.

    The prober fills in what differs per probe: sequence numbers, a SYN's source port, checksums.
    """
    if flow.family == 6:
        return IPv6(src=flow.src, dst=flow.dst, tc=tos, hlim=ttl) / _inner(flow)
    return IP(src=flow.src, dst=flow.dst, tos=tos, ttl=ttl) / _inner(flow)


def _inner(flow: ProbeFlow) -> Packet:
    if flow.transport == "tcp":
        largest = 1440 if flow.family == 6 else 1460
        return TCP(sport=flow.sport, dport=flow.dport, flags="S", seq=0, window=64240, options=[("MSS", largest)])
    if flow.transport == "udp":
        return UDP(sport=flow.sport, dport=flow.dport) / Raw(payload(flow.id))
    if flow.family == 6:
        return ICMPv6EchoRequest(id=flow.sport, data=payload(flow.id))
    return ICMP(type="echo-request", id=flow.sport) / Raw(payload(flow.id))
