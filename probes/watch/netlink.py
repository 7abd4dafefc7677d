"""rtnetlink messages (rtnetlink(7), linux/rtnetlink.h, linux/nexthop.h) as typed values. Pure, and without memory:
what a message changes is for follow.py to say."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

NEW_LINK, DEL_LINK = 16, 17
NEW_ADDRESS, DEL_ADDRESS = 20, 21
NEW_ROUTE, DEL_ROUTE = 24, 25
NEW_NEIGHBOUR, DEL_NEIGHBOUR = 28, 29
NEW_NEXT_HOP, DEL_NEXT_HOP = 104, 105
MAIN_TABLE, LOCAL_TABLE = 254, 255
ROUTE_TYPES = {1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
PROTOCOLS = {
    2: "kernel",
    3: "boot",
    4: "static",
    9: "ra",
    12: "bird",
    186: "bgp",
    187: "isis",
    188: "ospf",
    196: "zebra",
}
_CLONED = 0x200
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_FAILED = 0x20
_RESOLVED = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent
_AF_BRIDGE = 7


@dataclass(frozen=True, slots=True)
class Hop:
    """One way onward: an address (None: the destination is on the link) and an interface's index (None: unknown)."""

    via: str | None
    index: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """A route that was put in place, or taken away. `protocol` is who did it, `kind` a word of ROUTE_TYPES."""

    deleted: bool
    prefix: str
    table: int
    kind: str
    protocol: str
    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class NextHopGroup:
    """A group of next-hop objects that routes refer to by number; taken away, it has no members."""

    deleted: bool
    id: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """An interface: set up (by its owner), and with carrier."""

    deleted: bool
    index: int
    name: str
    set_up: bool
    carrier: bool


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its prefix length, as text."""

    deleted: bool
    index: int
    address: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry of the neighbour table. Neither `resolved` nor `failed`: the kernel is still asking."""

    deleted: bool
    index: int
    address: str
    mac: str | None
    resolved: bool
    failed: bool


Message = Route | NextHopGroup | Link | Address | Neighbour


def parse(batch: bytes) -> Iterator[Message]:
    """The messages of one read that are of interest. Raises ValueError when one contradicts its lengths."""
    at = 0
    while at < len(batch):
        try:
            length, kind = struct.unpack_from("=IH", batch, at)
            if not 16 <= length <= len(batch) - at:
                raise ValueError(f"netlink: {length} bytes of {len(batch) - at}")
            message = _one(kind, batch[at + 16 : at + length])
        except (struct.error, IndexError) as error:
            raise ValueError("netlink: a message ends within a field") from error
        if message is not None:
            yield message
        at += (length + 3) & ~3


def _one(kind: int, body: bytes) -> Message | None:
    if kind in (NEW_ROUTE, DEL_ROUTE):
        return _route(kind == DEL_ROUTE, body)
    if kind in (NEW_LINK, DEL_LINK):
        return _link(kind == DEL_LINK, body)
    if kind in (NEW_NEIGHBOUR, DEL_NEIGHBOUR):
        return _neighbour(kind == DEL_NEIGHBOUR, body)
    if kind in (NEW_ADDRESS, DEL_ADDRESS):
        return _address_message(kind == DEL_ADDRESS, body)
    if kind in (NEW_NEXT_HOP, DEL_NEXT_HOP):
        return _next_hop(kind == DEL_NEXT_HOP, body)
    return None


def _attributes(raw: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + 4 <= len(raw):
        length, kind = struct.unpack_from("=HH", raw, at)
        if not 4 <= length <= len(raw) - at:
            raise ValueError(f"netlink: an attribute of {length} bytes in {len(raw) - at}")
        found[kind & 0x3FFF] = raw[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _text(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    if len(raw) == 4:
        return str(IPv4Address(raw))
    if len(raw) == 16:
        return str(IPv6Address(raw))
    raise ValueError(f"netlink: an address of {len(raw)} bytes")


def _number(raw: bytes | None) -> int | None:
    return None if raw is None else int.from_bytes(raw, sys.byteorder)


def _route(deleted: bool, body: bytes) -> Route | None:
    family, length, _, _, table, protocol, _, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
    if kind not in ROUTE_TYPES or flags & _CLONED or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = _attributes(body, 12)
    table = _number(found.get(15)) or table
    if table == LOCAL_TABLE:
        return None
    anywhere = "0.0.0.0" if family == socket.AF_INET else "::"
    prefix = f"{_text(found.get(1)) or anywhere}/{length}"
    hops = _multipath(found[9]) if 9 in found else _hops(found, _number(found.get(4)))
    return Route(deleted, prefix, table, ROUTE_TYPES[kind], PROTOCOLS.get(protocol, str(protocol)), hops)


def _hops(found: dict[int, bytes], index: int | None) -> tuple[Hop, ...]:
    """One next hop: RTA_GATEWAY, or RTA_VIA (an address of another family, after its family's number)."""
    via = _text(found.get(5)) or _text(found[18][2:] if 18 in found else None)
    return () if via is None and index is None else (Hop(via, index),)


def _multipath(raw: bytes) -> tuple[Hop, ...]:
    """RTA_MULTIPATH: struct rtnexthop and attributes of its own, again and again."""
    hops: list[Hop] = []
    at = 0
    while at + 8 <= len(raw):
        length, _, _, index = struct.unpack_from("=HBBi", raw, at)
        if not 8 <= length <= len(raw) - at:
            raise ValueError(f"netlink: a next hop of {length} bytes")
        hops += _hops(_attributes(raw[at : at + length], 8), index)
        at += (length + 3) & ~3
    return tuple(hops)


def _next_hop(deleted: bool, body: bytes) -> NextHopGroup | None:
    found = _attributes(body, 8)
    number = _number(found.get(1))
    if number is None or (2 not in found and not deleted):
        return None  # a single next hop forwards nothing until a route or a group names it
    group = found.get(2, b"")
    members = tuple(struct.unpack_from("=I", group, at)[0] for at in range(0, len(group), 8))
    return NextHopGroup(deleted, number, () if deleted else members)


def _link(deleted: bool, body: bytes) -> Link | None:
    family, _, index, flags = struct.unpack_from("=BxHiI", body)
    if family == _AF_BRIDGE:
        return None
    name = _attributes(body, 16).get(3, b"").rstrip(b"\0").decode(errors="replace")
    set_up, carrier = bool(flags & _IFF_UP), bool(flags & _IFF_LOWER_UP)
    return Link(deleted, index, name, set_up and not deleted, carrier and not deleted)


def _address_message(deleted: bool, body: bytes) -> Address | None:
    _, length, _, _, index = struct.unpack_from("=BBBBI", body)
    found = _attributes(body, 8)
    text = _text(found.get(2)) or _text(found.get(1))  # IFA_LOCAL, else IFA_ADDRESS
    return None if text is None else Address(deleted, index, f"{text}/{length}")


def _neighbour(deleted: bool, body: bytes) -> Neighbour | None:
    family, index, state = struct.unpack_from("=BxxxiH", body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = _attributes(body, 12)
    text = _text(found.get(1))
    if text is None or state & 0x40:  # no entry of a router's: multicast and the like need no asking
        return None
    mac = found[2].hex(":") if found.get(2) else None
    return Neighbour(deleted, index, text, mac, bool(state & _RESOLVED) and not deleted, bool(state & _FAILED))
