"""Attributes of netlink messages (netlink(7)). Pure; it knows no kind of message."""

from __future__ import annotations

import struct

_HEAD = struct.Struct("=HH")  # struct nlattr: length, type
_TYPE = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER


def each(raw: bytes, at: int = 0) -> list[tuple[int, bytes]]:
    """(type, value) in order, from offset `at` on. Raises ValueError when one contradicts its length."""
    found = []
    while at + _HEAD.size <= len(raw):
        length, kind = _HEAD.unpack_from(raw, at)
        if not _HEAD.size <= length <= len(raw) - at:
            raise ValueError(f"netlink: an attribute of {length} bytes in {len(raw) - at}")
        found.append((kind & _TYPE, raw[at + _HEAD.size : at + length]))
        at += (length + 3) & ~3
    return found


def text(raw: bytes) -> str:
    """A string attribute, without the zero that ends it."""
    return raw.partition(b"\0")[0].decode(errors="replace")
