"""The unicast routes of a namespace as comparable lines, read from the kernel's own messages. It knows no other object.

Source: rtnetlink(7), linux/rtnetlink.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from topologies.linux.dumps import Dumps, attributes, number

_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEXT_HOP = struct.Struct("=HBBi")
_GET_ROUTE = 26
_DST, _OIF, _MULTIPATH, _TABLE = 1, 4, 9, 15
_UNICAST, _CLONED = 1, 0x200
_DEAD = 1
"""RTNH_F_DEAD: the kernel sends nothing that way. It says so of a way whose carrier is lost where such ways are ignored."""


def lines(dumps: Dumps) -> set[str]:
    """Destination, table and outgoing interfaces of every unicast route, as far as the kernel uses them. Raises OSError."""
    return {line for body in dumps.ask(_GET_ROUTE, bytes(_ROUTE.size)) if (line := _line(body))}


def _line(body: bytes) -> str:
    """Empty for what is no unicast route, or a clone of one, and where no way of it is used."""
    family, length, _, _, table, _, _, kind, flags = _ROUTE.unpack_from(body)
    if kind != _UNICAST or flags & (_CLONED | _DEAD):
        return ""
    to, via = "default", ""
    for what, value in attributes(body, _ROUTE.size):
        if what == _DST:
            to = socket.inet_ntop(family, value) if family in (socket.AF_INET, socket.AF_INET6) else value.hex()
        elif what == _OIF:
            via = f"dev {number(value)}"
        elif what == _TABLE:
            table = number(value)
        elif what == _MULTIPATH:
            via = " ".join(sorted(f"dev {index}" for index in _hops(value)))
            if not via:
                return ""
    return f"route {to}/{length} table {table} {via}"


def _hops(value: bytes) -> Iterator[int]:
    at = 0
    while at + _NEXT_HOP.size <= len(value):
        size, flags, _, index = _NEXT_HOP.unpack_from(value, at)
        if not flags & _DEAD:
            yield index
        at += (size + 3) & ~3
