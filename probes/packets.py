"""Plans probe flows and crafts a whole packet for each with scapy. Knows headers, not how or when anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from probes import quic

PAYLOAD_MAGIC = b"NSPF"
PAYLOAD_HEAD = 24
PAYLOAD_BYTES = 64
"""A probe: magic, flow u32, sequence u64, due time u64 (network byte order), which is its head, then padding. An answer appends a
name: one to a probe as large as the path's MTU comes in fragments."""


Transport = Literal["udp", "tcp", "icmp"]
Shape = Literal["plain", "quic-long", "quic-short"]
"""What a UDP probe looks like: bare, or with the head of a QUIC packet before its payload."""

LARGEST_PACKET = 65535

BASE_PORT: dict[Transport, int] = {"udp": 20000, "tcp": 2000, "icmp": 20000}
"""TCP's ports lie below those of long-lived connections and of Linux's own choice (ip_local_port_range)."""

PHASES = 10
"""Different phases in one interval, at most: to wake up costs the prober twice what to send does, so flows of one phase share it."""

LEAST_STEP_NS = 500_000
"""Between two phases, at least. Probes that leave together also stay together on their way, and each of them costs less."""

REUSE_AFTER_NS = 60_000_000_000
"""A TCP source port rests so long, TIME_WAIT on Linux, before its next SYN: no server takes it for an old connection."""


@dataclass(frozen=True, slots=True)
class ProbeFlow:
    """One fixed 5-tuple, probed once per `interval_ns`, its first probe `phase_ns` after the prober's start.

    With ICMP `sport` is the identifier and `dport` 0. With TCP each probe is a SYN from a source port of its own, the
    n-th from `sport + n % ports`: such a flow has no single path and tells of new connections, not of a black hole.
    `packet_bytes` is the size of the whole packet, from the network header on; None: what its template needs (see `least_bytes`).
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
    shape: Shape = "plain"
    packet_bytes: int | None = None

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
    shape: Shape = "plain",
    packet_bytes: int | None = None,
    most_phases: int = PHASES,
    least_step_ns: int = LEAST_STEP_NS,
) -> tuple[ProbeFlow, ...]:
    """`count` flows from a vantage to a service, source ports from `base_port` up, phases staggered over an interval.

    `ports` is how many each flow has (None: one, and of TCP as many as 60 s of probes need, so that none is used again
    before). ICMP has identifiers for source ports and no `port`. There are `most_phases` at most, `least_step_ns` apart at
    least. Raises ValueError for a count, interval, port, shape or size that cannot be probed, or addresses of two families.
    """
    if count < 1 or interval_ns < count or most_phases < 1 or least_step_ns < 1:
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
    phases = min(count, most_phases, max(1, interval_ns // least_step_ns))
    planned = tuple(
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
            shape=shape,
            packet_bytes=packet_bytes,
        )
        for i in range(count)
    )
    _refuse_shapeless(planned[0])
    return planned


def _refuse_shapeless(flow: ProbeFlow) -> None:
    if flow.shape != "plain" and flow.transport != "udp":
        raise ValueError(f"{flow.transport} in the shape of {flow.shape}: only UDP has another shape than plain")
    least = least_bytes(flow)
    if flow.packet_bytes is not None and not least <= flow.packet_bytes <= LARGEST_PACKET:
        raise ValueError(f"packets of {flow.packet_bytes} bytes: this probe has {least} to {LARGEST_PACKET}")
    template(flow)


def least_bytes(flow: ProbeFlow) -> int:
    """The smallest packet that still is this flow's probe: its headers, and the head of a payload where it has one."""
    network = 40 if flow.family == 6 else 20
    if flow.transport == "tcp":
        return network + 24
    return network + 8 + _head_bytes(flow) + PAYLOAD_HEAD


def _head_bytes(flow: ProbeFlow) -> int:
    return 0 if flow.shape == "plain" else quic.head_bytes(_form(flow))


def _form(flow: ProbeFlow) -> quic.Form:
    return "long" if flow.shape == "quic-long" else "short"


def payload(flow_id: int, size: int = PAYLOAD_BYTES) -> bytes:
    """A probe's payload with sequence and due time still zero; the padding differs per flow, so that a mix-up shows."""
    head = PAYLOAD_MAGIC + flow_id.to_bytes(4, "big") + bytes(PAYLOAD_HEAD - 8)
    return head + bytes((flow_id + i) & 0xFF for i in range(size - len(head)))


def _payload_bytes(flow: ProbeFlow) -> int:
    """How large the flow's payload is; of a SYN, how much padding follows its options."""
    if flow.packet_bytes is not None:
        of_head = 0 if flow.transport == "tcp" else PAYLOAD_HEAD
        return flow.packet_bytes - least_bytes(flow) + of_head
    if flow.transport == "tcp":
        return 0
    return quic.LEAST_INITIAL - _head_bytes(flow) if flow.shape == "quic-long" else PAYLOAD_BYTES


def template(flow: ProbeFlow, *, tos: int = 0, ttl: int = 64) -> Packet:
    """The flow's packet from the network header up, as it shall look on the wire.

    It may not be fragmented (RFC 1191): what is too large for the path is lost, and never comes in pieces of another size. The
    prober fills in what differs per probe: sequence numbers, a SYN's source port, checksums.
    """
    if flow.family == 6:
        return IPv6(src=flow.src, dst=flow.dst, tc=tos, hlim=ttl) / _inner(flow)
    return IP(src=flow.src, dst=flow.dst, tos=tos, ttl=ttl, flags="DF", id=0) / _inner(flow)


def _inner(flow: ProbeFlow) -> Packet:
    size = _payload_bytes(flow)
    if flow.transport == "tcp":
        largest = 1440 if flow.family == 6 else 1460
        syn = TCP(sport=flow.sport, dport=flow.dport, flags="S", seq=0, window=64240, options=[("MSS", largest)])
        return syn / Raw(bytes(size)) if size else syn
    body = payload(flow.id, size)
    if flow.transport == "udp":
        before = b"" if flow.shape == "plain" else quic.head(_form(flow), flow.id, size)
        return UDP(sport=flow.sport, dport=flow.dport) / Raw(before + body)
    if flow.family == 6:
        return ICMPv6EchoRequest(id=flow.sport, data=body)
    return ICMP(type="echo-request", id=flow.sport) / Raw(body)
