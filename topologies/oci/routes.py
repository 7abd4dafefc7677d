"""The unicast routes of a namespace as comparable lines, read from the kernel's own messages. It knows no other object.

A scenario compares thousands of routes while probes go on beside it; a general parser takes ten times the CPU for that.
Source: rtnetlink(7), linux/rtnetlink.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_ATTRIBUTE = struct.Struct("=HH")
_NEXT_HOP = struct.Struct("=HBBi")
_GET_ROUTE, _NEW_ROUTE, _DONE, _ERROR = 26, 24, 3, 2
_REQUEST_DUMP = 0x301
_DST, _OIF, _MULTIPATH, _TABLE = 1, 4, 9, 15
_UNICAST, _CLONED = 1, 0x200


def lines() -> set[str]:
    """Destination, table and outgoing interfaces of every unicast route of the calling thread's namespace. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.bind((0, 0))
        link.send(_HEADER.pack(_HEADER.size + _ROUTE.size, _GET_ROUTE, _REQUEST_DUMP, 1, 0) + bytes(_ROUTE.size))
        found: set[str] = set()
        while True:
            for kind, body in _messages(link.recv(1 << 17)):
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "reading routes")
                if kind == _NEW_ROUTE and (line := _line(body)):
                    found.add(line)


def _messages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(raw):
        length, kind, _, _, _ = _HEADER.unpack_from(raw, at)
        yield kind, raw[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _line(body: bytes) -> str:
    """Empty for what is no unicast route, or a clone of one."""
    family, length, _, _, table, _, _, kind, flags = _ROUTE.unpack_from(body)
    if kind != _UNICAST or flags & _CLONED:
        return ""
    to, via = "default", ""
    at = _ROUTE.size
    while at + _ATTRIBUTE.size <= len(body):
        size, what = _ATTRIBUTE.unpack_from(body, at)
        value = body[at + _ATTRIBUTE.size : at + size]
        if what == _DST:
            to = socket.inet_ntop(family, value) if family in (socket.AF_INET, socket.AF_INET6) else value.hex()
        elif what == _OIF:
            via = f"dev {struct.unpack('=i', value)[0]}"
        elif what == _TABLE:
            table = struct.unpack("=I", value)[0]
        elif what == _MULTIPATH:
            via = " ".join(sorted(f"dev {index}" for index in _hops(value)))
        at += (size + 3) & ~3
    return f"route {to}/{length} table {table} {via}"


def _hops(value: bytes) -> Iterator[int]:
    at = 0
    while at + _NEXT_HOP.size <= len(value):
        size, _, _, index = _NEXT_HOP.unpack_from(value, at)
        yield index
        at += (size + 3) & ~3
