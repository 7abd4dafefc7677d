"""Every counter of a namespace from which drops can be told, as the kernel gives it. It knows not what they mean.

Source: proc(5), rtnetlink(7), linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path

from topologies.linux.dumps import Dumps
from topologies.linux.netns import inside

_GET_LINK, _GET_QDISC = 18, 38
_GET_RULE = 10 << 8 | 7  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETRULE
_NETFILTER = 12  # NETLINK_NETFILTER
_ABSENT = (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EINVAL, errno.ENOENT)


@dataclass(frozen=True, slots=True)
class Counted:
    """Files as text (empty where the kernel has none), and bodies of the answers to dumps."""

    snmp: str
    netstat: str
    snmp6: str
    links: tuple[bytes, ...]
    qdiscs: tuple[bytes, ...]
    rules: tuple[bytes, ...]


def read(namespace: Path) -> Counted:
    """The counters of a namespace, one after the other within a millisecond or so. Raises OSError."""

    def body() -> Counted:
        with Dumps() as dumps:
            links = tuple(dumps.ask(_GET_LINK, bytes(16)))
            qdiscs = tuple(dumps.ask(_GET_QDISC, bytes(20)))
        return Counted(_file("snmp"), _file("netstat"), _file("snmp6"), links, qdiscs, _rules())

    return inside(namespace, body)


def _file(name: str) -> str:
    try:
        return Path("/proc/thread-self/net", name).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _rules() -> tuple[bytes, ...]:
    """None where the kernel has no nftables."""
    try:
        with Dumps(_NETFILTER) as dumps:
            return tuple(dumps.ask(_GET_RULE, bytes((socket.AF_UNSPEC, 0, 0, 0))))
    except OSError as error:
        if error.errno in _ABSENT:
            return ()
        raise
