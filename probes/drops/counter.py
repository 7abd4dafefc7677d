"""The name of a counter of drops. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Counter(NamedTuple):
    """Where something is counted and for what. `place` is an interface, or table, chain and handle of a rule, or empty for
    the whole node; `name` is the kernel's name of the counter; `reason` a word of the kernel's drop reasons where it has
    one that means the same, else one of our own. `number` tells things of the same name apart (index, handle)."""

    source: Literal["device", "queue", "netfilter", "stack"]
    place: str
    reason: str
    name: str
    number: int = 0
