"""Maglev's lookup table: which backend owns each slot of the hash space. It must not know addresses, health or maps.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping

RING_SIZE = 65537  # prime, as in maps.h: every skip visits every slot
NOBODY = 0xFFFF


def _preference(name: str) -> tuple[int, int]:
    """Where a backend's walk over the slots begins, and its stride. From the name alone: every L4 node agrees."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
    return first % RING_SIZE, second % (RING_SIZE - 1) + 1


def fill(weights: Mapping[str, int]) -> tuple[tuple[str, ...], array[int]]:
    """The names in their order of turns (sorted), and for each slot the index of its owner in them (unsigned 16 bit).

    A backend takes turns in proportion to its weight; weight 0 takes none. With nobody left every slot is NOBODY.
    The order of `weights` does not matter. Raises ValueError for a negative weight.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError(f"a weight below zero: {dict(weights)}")
    names = tuple(sorted(name for name, weight in weights.items() if weight))
    ring = array("H", [NOBODY]) * RING_SIZE
    if not names:
        return names, ring
    heaviest = max(weights.values())
    at, stride = map(list, zip(*(_preference(name) for name in names), strict=True))
    credit = [0] * len(names)
    free = RING_SIZE
    while True:
        for index, name in enumerate(names):
            credit[index] += weights[name]
            if credit[index] < heaviest:
                continue
            credit[index] -= heaviest
            slot, step = at[index], stride[index]
            while ring[slot] != NOBODY:
                slot = (slot + step) % RING_SIZE
            ring[slot] = index
            at[index] = slot
            free -= 1
            if not free:
                return names, ring
