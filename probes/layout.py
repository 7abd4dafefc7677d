"""The byte layout of the prober's two files, as numpy types. Mirrors probes/native/record.h; of a payload it knows the beginning."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from itertools import accumulate

import numpy as np
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Packet

from probes.packets import PAYLOAD_MAGIC

PLAN_MAGIC = 0x5050534E
RECORD_MAGIC = 0x5250534E
VERSION = 5
PAGE = 4096
NO_BACKEND = 255
ERRNOS = 256
OFFSETS = 8192

STARTING, RUNNING, STOPPED, FAILED = range(4)

WRITTEN = 1
ANSWERED = 2
CORRUPT = 4
NOT_SENT = 8
SEND_REFUSED = 16
DUPLICATE = 32
UNSTAMPED = 64

NOT_DENIED, BY_RST, BY_STRAY_RST, BY_ICMP = range(4)

PLAN_HEADER = np.dtype([("magic", "u4"), ("version", "u4"), ("flow_count", "u4"), ("capacity", "u4")])

PLAN_FLOW = np.dtype(
    [
        ("id", "u4"),
        ("family", "u2"),
        ("sport", "u2"),
        ("dport", "u2"),
        ("ports", "u2"),
        ("tos", "u1"),
        ("ttl", "u1"),
        ("src", "u1", 16),
        ("dst", "u1", 16),
        ("protocol", "u2"),
        ("packet_bytes", "u2"),
        ("header_at", "u2"),
        ("payload_at", "u2"),
        ("interval_ns", "i8"),
        ("phase_ns", "i8"),
        ("packet_at", "u8"),
    ],
    align=True,
)

HEADER = np.dtype(
    [
        ("magic", "u4"),
        ("version", "u4"),
        ("header_bytes", "u4"),
        ("flow_count", "u4"),
        ("capacity", "u4"),
        ("record_bytes", "u4"),
        ("pid", "u4"),
        ("state", "u4"),
        ("start_ns", "i8"),
        ("heartbeat_ns", "i8"),
        ("sent", "u8"),
        ("received", "u8"),
        ("denied", "u8"),
        ("duplicates", "u8"),
        ("corrupt", "u8"),
        ("foreign", "u8"),
        ("socket_drops", "u8"),
        ("not_sent", "u8"),
        ("refused", "u8"),
        ("harness_errors", "u8"),
        ("unstamped", "u8"),
        ("names_overflow", "u8"),
        ("offset_count", "u8"),
        ("name_count", "u4"),
        ("reserved", "u4"),
        ("send_errors", "u8", ERRNOS),
        ("names", "S64", 64),
        ("offsets", [("mono_ns", "i8"), ("offset_ns", "i8")], OFFSETS),
        ("error", "S256"),
    ],
    align=True,
)

FLOW_STATUS = np.dtype([("id", "u4"), ("socket_drops", "u4"), ("next_seq", "u8")], align=True)

RECORD = np.dtype(
    [
        ("seq", "u8"),
        ("due_ns", "i8"),
        ("tx_ns", "i8"),
        ("rx_ns", "i8"),
        ("sent_ns", "i8"),
        ("backend", "u1"),
        ("flags", "u1"),
        ("denial", "u1"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("ttl", "u1"),
        ("reserved", "u1", 2),
    ],
    align=True,
)


def paged(size: int) -> int:
    """`size` rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


def pack_plan(flows: Iterable[tuple[int, Packet, int, int, int]], capacity: int) -> bytes:
    """The plan file's bytes from (flow id, whole-packet template, source ports, interval, phase) of every flow.

    What the prober sends is read back from the packet as it would go on the wire, so the template is the only truth. The packets
    stand behind the flows, one after the other. Raises ValueError for a probe of UDP or ICMP without a payload of its flow's.
    """
    planned = list(flows)
    packets = [bytes(packet) for _, packet, *_ in planned]
    first = PLAN_HEADER.itemsize + len(planned) * PLAN_FLOW.itemsize
    starts = accumulate((len(raw) for raw in packets), initial=first)
    rows = [_plan_row(*flow, raw, at) for flow, raw, at in zip(planned, packets, starts, strict=False)]
    header = np.array((PLAN_MAGIC, VERSION, len(rows), capacity), PLAN_HEADER)
    return header.tobytes() + np.array(rows, PLAN_FLOW).tobytes() + b"".join(packets)


def _plan_row(
    flow_id: int, packet: Packet, ports: int, interval_ns: int, phase_ns: int, raw: bytes, at: int
) -> tuple[object, ...]:
    version6 = raw[0] >> 4 == 6
    built = (IPv6 if version6 else IP)(raw)
    family = socket.AF_INET6 if version6 else socket.AF_INET
    tos, ttl, protocol = (built.tc, built.hlim, built.nh) if version6 else (built.tos, built.ttl, built.proto)
    kind = next(k for k in (UDP, TCP, ICMP, ICMPv6EchoRequest) if packet.haslayer(k))
    head = built[kind]
    header_at = 40 if version6 else built.ihl * 4
    sport, dport = (head.id, 0) if kind in (ICMP, ICMPv6EchoRequest) else (head.sport, head.dport)
    return (
        flow_id,
        int(family),
        sport,
        dport,
        ports,
        tos,
        ttl,
        np.frombuffer(socket.inet_pton(family, built.src).ljust(16, b"\0"), np.uint8),
        np.frombuffer(socket.inet_pton(family, built.dst).ljust(16, b"\0"), np.uint8),
        protocol,
        len(raw),
        header_at,
        header_at + head.dataofs * 4 if kind is TCP else _payload_at(raw, header_at + 8, flow_id),
        interval_ns,
        phase_ns,
        at,
    )


def _payload_at(raw: bytes, after: int, flow_id: int) -> int:
    """Where a probe's payload begins: at its magic and its flow's id, behind the transport's header and what stands between."""
    at = raw.find(PAYLOAD_MAGIC + flow_id.to_bytes(4, "big"), after)
    if at < 0:
        raise ValueError(f"flow {flow_id}: its packet holds no payload of a probe")
    return at
