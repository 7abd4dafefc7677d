"""Many like netlink requests in few system calls: one is compiled by pyroute2, the others differ in their interface index.

It knows no interface; a lab of a hundred link ends would else spend most of its start in encoding the same bytes.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence

from pyroute2 import IPBatch

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_INDEX_AT = 20  # of tcmsg and of ifinfomsg alike: where the interface index stands
_ERROR = 2  # NLMSG_ERROR: an answer's errno, 0 for an acknowledgement
_AT_ONCE = 64  # requests under way, so that their answers fit into the socket's buffer


def compiled(request: Callable[[IPBatch], object]) -> bytes:
    """One request as bytes, as pyroute2 would send it: `request` calls a method such as `tc` or `link` on its argument."""
    batch = IPBatch()
    try:
        request(batch)
        return bytes(batch.batch)
    finally:
        batch.close()


def for_each(templates: Sequence[bytes], indices: Iterable[int]) -> list[bytes]:
    """The templates in order for the first interface index, then for the next."""
    return [t[:_INDEX_AT] + struct.pack("=i", i) + t[_INDEX_AT + 4 :] for i in indices for t in templates]


def send(requests: Sequence[bytes]) -> None:
    """Sends them in order from the calling thread's namespace. Raises OSError with the kernel's reason for the first refused;
    those behind it may have been carried out."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.bind((0, 0))
        for at in range(0, len(requests), _AT_ONCE):
            part = requests[at : at + _AT_ONCE]
            link.send(b"".join(_numbered(request, number) for number, request in enumerate(part, start=1)))
            left = len(part)
            while left:
                left -= _acknowledged(link.recv(65536))


def _numbered(request: bytes, number: int) -> bytes:
    length, kind, flags, _, _ = _HEADER.unpack_from(request)
    return _HEADER.pack(length, kind, flags, number, 0) + request[_HEADER.size :]


def _acknowledged(answer: bytes) -> int:
    at = found = 0
    while at < len(answer):
        length, kind, _, _, _ = _HEADER.unpack_from(answer, at)
        if kind == _ERROR:
            (code,) = struct.unpack_from("=i", answer, at + _HEADER.size)
            if code:
                raise OSError(-code, os.strerror(-code))
            found += 1
        at += (length + 3) & ~3
    return found
