"""What an agent tells of packets that its node's program dropped. Pure: it must not know maps, sockets, or what a reason means.

A line: {"t_ns", "source", "what": "drop", "reason", "count", "first_ns", "last_ns", "flow": {"src", "sport", "dst", "dport",
"protocol"}}, the last only where it is known. Instants are CLOCK_MONOTONIC in nanoseconds, ports and protocol numbers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

MOST_FLOWS = 512
"""Flows named in one turn. A flood of others is told in one line a reason, so it costs the agent no more than this."""

KEY = struct.Struct("=37sBxx")
"""`struct drop_key` of bpf/drops.h: what names the flow, and the reason."""

SUM = struct.Struct("=QQQ")
"""`struct drop_sum`."""

_FLOW = struct.Struct("!16s16sHHB")


@dataclass(frozen=True, slots=True)
class Dropped:
    """Packets dropped for one reason, by its number; `flow` as in `drop_key`, None where it is not named."""

    reason: int
    flow: bytes | None
    count: int
    first_ns: int
    last_ns: int


def unpack(keys: bytes, values: bytes) -> list[Dropped]:
    """The elements of a table. A flow of which nothing could be read is none."""
    pairs = zip(KEY.iter_unpack(keys), SUM.iter_unpack(values), strict=True)
    return [Dropped(reason, flow if any(flow) else None, *sums) for (flow, reason), sums in pairs]


def merged(drops: Iterable[Dropped]) -> list[Dropped]:
    """One for each reason, without a flow."""
    found: dict[int, Dropped] = {}
    for drop in drops:
        before = found.get(drop.reason, Dropped(drop.reason, None, 0, drop.first_ns, drop.last_ns))
        first, last = min(before.first_ns, drop.first_ns), max(before.last_ns, drop.last_ns)
        found[drop.reason] = Dropped(drop.reason, None, before.count + drop.count, first, last)
    return list(found.values())


def worth_telling(drops: Sequence[Dropped], most: int = MOST_FLOWS) -> list[Dropped]:
    """The `most` flows that lost most packets, and all others merged: no packet is told twice, none is left out."""
    named = sorted((drop for drop in drops if drop.flow is not None), key=lambda drop: -drop.count)
    nameless = [drop for drop in drops if drop.flow is None]
    return named[:most] + merged(nameless + named[most:])


def line(source: str, reasons: Sequence[str], drop: Dropped, t_ns: int) -> bytes:
    """One as it is written."""
    written: dict[str, object] = {
        "t_ns": t_ns,
        "source": source,
        "what": "drop",
        "reason": reasons[drop.reason],
        "count": drop.count,
        "first_ns": drop.first_ns,
        "last_ns": drop.last_ns,
    }
    if drop.flow is not None:
        src, dst, sport, dport, protocol = _FLOW.unpack(drop.flow)
        written["flow"] = {"src": _text(src), "sport": sport, "dst": _text(dst), "dport": dport, "protocol": protocol}
    return json.dumps(written, separators=(",", ":")).encode() + b"\n"


def _text(packed: bytes) -> str:
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)
