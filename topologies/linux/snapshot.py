"""What a node's kernel has of a network, as lines that can be compared with those of another time. It changes nothing.

Source: rtnetlink(7), linux/if_link.h, linux/if_addr.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from topologies.linux import routes
from topologies.linux.dumps import Dumps, attributes, number
from topologies.linux.netns import inside

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_QDISC = struct.Struct("=BxxxiIII")  # tcmsg: family, index, handle, parent, info
_GET_LINK, _GET_ADDRESS, _GET_QDISC = 18, 22, 38
_MTU, _OPERSTATE, _EXT_MASK, _XDP = 4, 16, 29, 43
_XDP_ATTACHED = 2
_SKIP_STATS = struct.pack("=HHI", 8, _EXT_MASK, 1 << 3)  # RTEXT_FILTER_SKIP_STATS
_IFA_ADDRESS, _TCA_KIND = 1, 1
_OPERSTATES = ("UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")  # RFC 2863


def snapshot(namespace: Path) -> frozenset[str]:
    """Addresses, routes, interface states, XDP and qdiscs of a namespace as comparable lines. Raises OSError."""

    def body() -> frozenset[str]:
        with Dumps() as dumps:
            return frozenset((*_links(dumps), *_addresses(dumps), *_qdiscs(dumps), *routes.lines(dumps)))

    return inside(namespace, body)


def xdp_indices(namespace: Path) -> frozenset[int]:
    """Indices of the interfaces in a namespace that have an XDP program. Raises OSError."""

    def body() -> frozenset[int]:
        with Dumps() as dumps:
            return frozenset(index for index, found in _each_link(dumps) if _has_xdp(found))

    return inside(namespace, body)


def addresses(namespace: Path) -> frozenset[str]:
    """The IP addresses of a namespace, without prefix lengths. Raises OSError."""

    def body() -> frozenset[str]:
        with Dumps() as dumps:
            return frozenset(line.split()[2].partition("/")[0] for line in _addresses(dumps))

    return inside(namespace, body)


def _each_link(dumps: Dumps) -> Iterator[tuple[int, dict[int, bytes]]]:
    for body in dumps.ask(_GET_LINK, bytes(_LINK.size) + _SKIP_STATS):
        yield _LINK.unpack_from(body)[2], dict(attributes(body, _LINK.size))


def _has_xdp(found: dict[int, bytes]) -> bool:
    return bool(dict(attributes(found.get(_XDP, b""))).get(_XDP_ATTACHED, b"\0")[0])


def _links(dumps: Dumps) -> Iterator[str]:
    for index, found in _each_link(dumps):
        state = found[_OPERSTATE][0]
        name = _OPERSTATES[state] if state < len(_OPERSTATES) else str(state)
        yield f"link {index} {name} mtu {number(found[_MTU])} xdp {int(_has_xdp(found))}"


def _addresses(dumps: Dumps) -> Iterator[str]:
    for body in dumps.ask(_GET_ADDRESS, bytes(_ADDRESS.size)):
        family, length, _, _, index = _ADDRESS.unpack_from(body)
        value = dict(attributes(body, _ADDRESS.size)).get(_IFA_ADDRESS, b"")
        shown = socket.inet_ntop(family, value) if family in (socket.AF_INET, socket.AF_INET6) else value.hex()
        yield f"address {index} {shown}/{length}"


def _qdiscs(dumps: Dumps) -> Iterator[str]:
    for body in dumps.ask(_GET_QDISC, bytes(_QDISC.size)):
        _, index, _, parent, _ = _QDISC.unpack_from(body)
        kind = dict(attributes(body, _QDISC.size))[_TCA_KIND].rstrip(b"\0").decode("ascii")
        yield f"qdisc {index} {kind} {parent:x}"
