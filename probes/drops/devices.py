"""Drops that interfaces and their queues have counted, out of netlink's messages. Pure.

Source: rtnetlink(7), linux/if_link.h (struct rtnl_link_stats64), linux/gen_stats.h (struct gnet_stats_queue).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from probes.drops.attributes import each, text
from probes.drops.counter import Counter

_LINK, _QDISC = struct.Struct("=BxHiII"), struct.Struct("=BxxxiIII")
_IFNAME, _STATS64 = 3, 23
_KIND, _STATS2, _QUEUE = 1, 7, 3
_FIELDS = {  # place in struct rtnl_link_stats64: name, reason. The finer errors are summed up in rx_errors and tx_errors.
    4: ("rx_errors", "RX_ERRORS"),
    5: ("tx_errors", "TX_ERRORS"),
    6: ("rx_dropped", "RX_DROPPED"),
    7: ("tx_dropped", "TX_DROPPED"),
    15: ("rx_missed_errors", "FULL_RING"),
    23: ("rx_nohandler", "UNHANDLED_PROTO"),
}
_FILTERS = ("clsact", "ingress")  # qdiscs without a queue: filters hang there, and what these drop is counted there


def names(links: Iterable[bytes]) -> dict[int, str]:
    """Index → name, of the answers to RTM_GETLINK. Raises ValueError."""
    return {index: name for index, name, _ in _links(links)}


def counts(links: Iterable[bytes]) -> dict[Counter, int]:
    """What interfaces have counted, of the answers to RTM_GETLINK. Raises ValueError."""
    found = {}
    for index, name, stats in _links(links):
        values = struct.unpack_from(f"={len(stats) // 8}Q", stats)
        for place, (field, reason) in _FIELDS.items():
            if place < len(values):
                found[Counter("device", name, reason, field, index)] = values[place]
    return found


def queue_counts(qdiscs: Iterable[bytes], interfaces: Mapping[int, str]) -> dict[Counter, int]:
    """What queueing disciplines have counted, of the answers to RTM_GETQDISC. Raises ValueError."""
    found: dict[Counter, int] = {}
    for body in qdiscs:
        index, handle = _head(_QDISC, body)[1:3]
        given = dict(each(body, _QDISC.size))
        queue = dict(each(given.get(_STATS2, b""))).get(_QUEUE, b"")
        if len(queue) >= 12:
            kind = text(given.get(_KIND, b""))
            reason = "TC_FILTER" if kind in _FILTERS else "QDISC_DROP"
            counter = Counter("queue", interfaces.get(index, f"#{index}"), reason, kind, handle)
            found[counter] = found.get(counter, 0) + struct.unpack_from("=I", queue, 8)[0]
    return found


def _links(links: Iterable[bytes]) -> Iterator[tuple[int, str, bytes]]:
    for body in links:
        index = _head(_LINK, body)[2]
        given = dict(each(body, _LINK.size))
        yield index, text(given.get(_IFNAME, b"")), given.get(_STATS64, b"")


def _head(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise ValueError(f"netlink: a message of {len(body)} bytes")
    return layout.unpack_from(body)
