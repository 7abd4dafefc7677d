"""The file in which the netlink listener keeps what it read, and when. Knows neither netlink nor who reads the file."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

_HEAD = struct.Struct("=BHQQI")


class Kind(IntEnum):
    """What an entry is. STATE is what was there at the start; OVERFLOW: the kernel had to drop messages; PULSE: the
    listener lives, and its `since_ns` is the most that it was late since the pulse before, ns."""

    STATE = 0
    NEWS = 1
    OVERFLOW = 2
    PULSE = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """`node` is the place in the listener's plan. What is in `data` happened in [since_ns, t_ns], CLOCK_MONOTONIC."""

    kind: Kind
    node: int
    t_ns: int
    since_ns: int
    data: bytes = b""


def packed(kind: Kind, node: int, t_ns: int, since_ns: int, data: bytes = b"") -> bytes:
    """An entry as it is written, in one piece."""
    return _HEAD.pack(kind, node, t_ns, since_ns, len(data)) + data


class Reader:
    """Entries out of what is appended to the file; the last may be half written yet."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, raw: bytes) -> Iterable[Entry]:
        """The entries that are whole now, in order."""
        buffer, at = self._held + raw, 0
        found = []
        while len(buffer) - at >= _HEAD.size:
            kind, node, t_ns, since_ns, size = _HEAD.unpack_from(buffer, at)
            end = at + _HEAD.size + size
            if end > len(buffer):
                break
            found.append(Entry(Kind(kind), node, t_ns, since_ns, buffer[at + _HEAD.size : end]))
            at = end
        self._held = buffer[at:]
        return found
