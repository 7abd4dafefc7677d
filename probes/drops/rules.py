"""Packets that nftables rules have dropped: rules with a counter and a verdict of drop, or a reject. Pure.

A drop by a rule without a counter, or by a chain's policy, is counted by nobody.
Source: linux/netfilter/nf_tables.h, nft(8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from probes.drops.attributes import each, text
from probes.drops.counter import Counter

_HEAD = 4  # struct nfgenmsg
_TABLE, _CHAIN, _HANDLE, _EXPRESSIONS = 1, 2, 3, 4
_NAME, _DATA = 1, 2
_PACKETS = 2
_IMMEDIATE_DATA, _VERDICT, _CODE = 2, 2, 1
_NF_DROP = 0


def counts(rules: Iterable[bytes]) -> dict[Counter, int]:
    """Of the answers to NFT_MSG_GETRULE. Raises ValueError."""
    found = {}
    for body in rules:
        given = dict(each(body, _HEAD))
        packets = _dropped(given.get(_EXPRESSIONS, b""))
        if packets is not None:
            place = f"{text(given.get(_TABLE, b''))} {text(given.get(_CHAIN, b''))}"
            handle = int.from_bytes(given.get(_HANDLE, b""), "big")
            found[Counter("netfilter", place, "NETFILTER_DROP", f"rule {handle}", handle)] = packets
    return found


def _dropped(expressions: bytes) -> int | None:
    """What the last counter before the verdict had counted; None where the rule does not drop, or does not count."""
    packets = None
    for _, element in each(expressions):
        given = dict(each(element))
        name, data = text(given.get(_NAME, b"")), given.get(_DATA, b"")
        if name == "counter":
            packets = int.from_bytes(dict(each(data)).get(_PACKETS, b""), "big")
        elif name == "reject" or (name == "immediate" and _is_drop(data)):
            return packets
    return None


def _is_drop(immediate: bytes) -> bool:
    value = dict(each(dict(each(immediate)).get(_IMMEDIATE_DATA, b"")))
    code = dict(each(value.get(_VERDICT, b""))).get(_CODE, b"")
    return len(code) == 4 and struct.unpack("!i", code)[0] == _NF_DROP
