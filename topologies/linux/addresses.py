"""Which addresses a namespace has. It changes nothing. Source: rtnetlink(7), linux/if_addr.h."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from topologies.linux.dumps import Dumps, attributes
from topologies.linux.netns import inside

_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_GET_ADDRESS = 22
_IFA_ADDRESS, _IFA_LOCAL = 1, 2  # of a point-to-point interface the first is the other end's


def addresses(namespace: Path) -> list[IPv4Address | IPv6Address]:
    """All of them, in the kernel's order. Raises OSError."""

    def body() -> list[IPv4Address | IPv6Address]:
        with Dumps() as dumps:
            return [found for one in dumps.ask(_GET_ADDRESS, bytes(_ADDRESS.size)) if (found := _own(one)) is not None]

    return inside(namespace, body)


def _own(message: bytes) -> IPv4Address | IPv6Address | None:
    if _ADDRESS.unpack_from(message)[0] not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = dict(attributes(message, _ADDRESS.size))
    return ip_address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS])


def families(namespace: Path) -> frozenset[int]:
    """The IP versions of which it has an address that others can answer: neither loopback nor link-local. Raises OSError."""
    return frozenset(a.version for a in addresses(namespace) if not (a.is_loopback or a.is_link_local))
