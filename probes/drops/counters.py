"""What every node has counted of its drops: a reading made comparable, and what was added between two. Pure.

Counters know no packet: they say that node X dropped N for reason R in a window, whoever's packets these were. This is what
is left where the kernel tells no single drops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from probes.drops import devices, rules, statistics
from probes.drops.counter import Counter
from probes.drops.reasons import in_words

Counts = Mapping[Counter, int]


@dataclass(frozen=True, slots=True)
class CountedDrops:
    """`count` packets that a node dropped in a window."""

    node: str
    counter: Counter
    count: int

    @property
    def words(self) -> str:
        """The reason for people."""
        return in_words(self.counter.reason)


class Readings(Protocol):
    """A namespace's counters at one moment, as the kernel gives them: /proc/net/snmp, netstat and snmp6 as text, and the
    bodies of the answers to dumps of links (with statistics), qdiscs and nftables rules."""

    @property
    def snmp(self) -> str: ...
    @property
    def netstat(self) -> str: ...
    @property
    def snmp6(self) -> str: ...
    @property
    def links(self) -> Sequence[bytes]: ...
    @property
    def qdiscs(self) -> Sequence[bytes]: ...
    @property
    def rules(self) -> Sequence[bytes]: ...


def counted(readings: Readings) -> dict[Counter, int]:
    """The counters of drops in a reading, zeros too. Raises ValueError when a message contradicts its lengths."""
    names = devices.names(readings.links)
    return {
        **statistics.counts(statistics.table(readings.snmp)),
        **statistics.counts(statistics.table(readings.netstat)),
        **statistics.counts(statistics.pairs(readings.snmp6)),
        **devices.counts(readings.links),
        **devices.queue_counts(readings.qdiscs, names),
        **rules.counts(readings.rules),
    }


def difference(node: str, before: Counts, after: Counts) -> list[CountedDrops]:
    """What was added, most first. A counter that was not there before, or that went back, began again at zero in between:
    what was counted from there on is told, what was lost with the old one is not."""
    return sorted(_added(node, before, after), key=lambda drops: (-drops.count, drops.counter))


def _added(node: str, before: Counts, after: Counts) -> Iterator[CountedDrops]:
    for counter, value in after.items():
        known = before.get(counter, 0)
        count = value - known if value >= known else value
        if count:
            yield CountedDrops(node, counter, count)
