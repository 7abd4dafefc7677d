"""Netlink dumps of the calling thread's namespace, as raw messages and their attributes. It knows no kind of object.

A scenario looks at every node of a lab while probes go on beside it; a general parser takes ten times the CPU for that.
Source: netlink(7), rtnetlink(7).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import TracebackType

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301
_TYPE = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_NUMBER = struct.Struct("=I")


class Dumps:
    """One socket, for one dump after the other. A context manager; it belongs to the namespace that it was entered in."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._family = family

    def __enter__(self) -> Dumps:
        self._link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, self._family)
        self._link.bind((0, 0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.close()

    def ask(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The bodies of all messages that answer a dump request (RTM_GET…). Raises OSError with the kernel's reason."""
        self._link.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body)
        while True:
            for what, answer in messages(self._link.recv(1 << 17)):
                if what == _DONE:
                    return
                if what == _ERROR:
                    raise OSError(-struct.unpack_from("=i", answer)[0], f"dump {kind}")
                yield answer


def attributes(body: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """(type, value) of the attributes of a message from offset `at` on, or of a nested attribute's value."""
    while at + _ATTRIBUTE.size <= len(body):
        size, what = _ATTRIBUTE.unpack_from(body, at)
        if size < _ATTRIBUTE.size:
            return
        yield what & _TYPE, body[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3


def number(value: bytes) -> int:
    """An attribute of type u32."""
    found: int = _NUMBER.unpack_from(value)[0]
    return found


def messages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of the messages in what a netlink socket received."""
    at = 0
    while at + _HEADER.size <= len(raw):
        length, kind, _, _, _ = _HEADER.unpack_from(raw, at)
        yield kind, raw[at + _HEADER.size : at + length]
        at += (length + 3) & ~3
