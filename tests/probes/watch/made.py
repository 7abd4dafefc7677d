"""Packets as routers send them, put together byte by byte for tests. Must not use the decoders that it tests."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import HealthCheck, settings

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy host is slow, not wrong
LL = "fe80::1", "fe80::2"
UP, DOWN, INIT, ADMIN_DOWN = 3, 1, 2, 0


@dataclass(frozen=True)
class Heard:
    t_ns: int
    index: int
    length: int
    packet: bytes


def heard(packet: bytes, *, t_ns: int = 1, index: int = 10, copied: int | None = None) -> Heard:
    return Heard(t_ns, index, len(packet), packet[:copied])


def ip(src: str, dst: str, protocol: int, payload: bytes, hops: int = 255) -> bytes:
    if ":" in src:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops)
        return head + IPv6Address(src).packed + IPv6Address(dst).packed + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, hops, protocol, 0)
    return head + IPv4Address(src).packed + IPv4Address(dst).packed + payload


def udp(payload: bytes, *, src: str = LL[0], dst: str = LL[1], port: int = 3784, hops: int = 255) -> bytes:
    return ip(src, dst, 17, struct.pack("!HHHH", 49152, port, 8 + len(payload), 0) + payload, hops)


def tcp(payload: bytes, seq: int, *, src: str = LL[0], dst: str = LL[1], hops: int = 1, options: bytes = b"") -> bytes:
    head = struct.pack("!HHIIBBHHH", 40000, 179, seq % 2**32, 1, (5 + len(options) // 4) << 4, 0x18, 1000, 0, 0)
    return ip(src, dst, 6, head + options + payload, hops)


def bfd(state: int, diagnostic: int = 0, *, mine: int = 1, yours: int = 2) -> bytes:
    return struct.pack("!BBBBIIIII", 1 << 5 | diagnostic, state << 6, 3, 24, mine, yours, 50000, 50000, 0)


def message(kind: int, body: bytes = b"") -> bytes:
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def nlri(*prefixes: str, path_id: int | None = None) -> bytes:
    parts = []
    for prefix in prefixes:
        network = ip_network(prefix)
        size = (network.prefixlen + 7) // 8
        identifier = b"" if path_id is None else struct.pack("!I", path_id)
        parts.append(identifier + bytes([network.prefixlen]) + network.network_address.packed[:size])
    return b"".join(parts)


def attribute(kind: int, value: bytes, *, long: bool = False) -> bytes:
    if long or len(value) > 255:
        return struct.pack("!BBH", 0x90, kind, len(value)) + value
    return struct.pack("!BBB", 0x80, kind, len(value)) + value


def update(*, withdrawn: bytes = b"", attributes: bytes = b"", announced: bytes = b"") -> bytes:
    parts = struct.pack("!H", len(withdrawn)) + withdrawn, struct.pack("!H", len(attributes)) + attributes, announced
    return message(2, b"".join(parts))


def unreach(family: int, *prefixes: str) -> bytes:
    return update(attributes=attribute(15, struct.pack("!HB", family, 1) + nlri(*prefixes)))


def reach(family: int, *prefixes: str, hop: str = "fe80::1", path: tuple[int, ...] = (65101,)) -> bytes:
    address = IPv6Address(hop).packed if ":" in hop else IPv4Address(hop).packed
    value = struct.pack("!HBB", family, 1, len(address)) + address + b"\0" + nlri(*prefixes)
    as_path = struct.pack(f"!BB{len(path)}I", 2, len(path), *path)
    return update(attributes=attribute(14, value, long=True) + attribute(2, as_path))


KEEPALIVE = message(4)
NOTIFICATION = message(3, bytes((6, 10)))
