"""Each dropped packet of a probe or of its answer, as the kernel tells it: when, in which node, at which interface, why.

It decides nothing and loads nothing itself: what the host has to do for it stands in the protocol `Host`. What frees a packet
otherwise than by dropping it is no drop; docs/where-packets-die.md says what is seen and what is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from probes.drops.reasons import Reasons, in_words, is_loss
from probes.drops.record import FiveTuple, Record, Segment, parse
from probes.drops.symbols import Symbols


class Unavailable(Exception):
    """Single drops cannot be had on this host; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class KernelDrop:
    """One packet that the kernel dropped. `t_ns` is CLOCK_MONOTONIC. `interface` is where it was at that moment: the one it
    came in by until it was routed, the one it was to leave by afterwards; empty where it was at none. `reason` is the
    kernel's own word, `where` the kernel's function (empty: not told), `ttl` what was left in the outermost header,
    `carrier` whether the interface had one. `probe` and `seq` are a probe's flow id and sequence number, in probes and
    answers alike; a TCP packet has its `segment` instead."""

    t_ns: int
    node: str
    interface: str
    reason: str
    where: str
    flow: FiveTuple
    ttl: int
    carrier: bool
    probe: int | None
    seq: int | None
    segment: Segment | None = None

    @property
    def words(self) -> str:
        """The reason for people."""
        return in_words(self.reason, self.where, self.ttl, carrier=self.carrier)


def drop_of(record: Record, node: str, interface: str, reasons: Reasons, symbols: Symbols) -> KernelDrop | None:
    """What a record tells; None where nobody misses the packet."""
    reason, where = reasons.name(record.reason), symbols.function(record.location)
    if not is_loss(reason, where):
        return None
    return KernelDrop(
        record.t_ns,
        node,
        interface,
        reason,
        where,
        record.flow,
        record.ttl,
        record.carrier,
        record.probe,
        record.seq,
        record.segment,
    )


class Running(Protocol):
    """The program at the tracepoint, at work until it is closed."""

    def watch(self, inodes: frozenset[int]) -> None:
        """Only what is dropped in these namespaces is of interest from now on."""

    def read(self) -> list[bytes]:
        """Records since the last call, oldest first. Does not wait."""

    def lost(self) -> int:
        """Records that found no room, ever."""

    def close(self) -> None: ...


class Host(Protocol):
    """What the machine does for the detector."""

    def start(self) -> Running:
        """Raises Unavailable."""

    def reasons(self) -> Reasons: ...
    def symbols(self) -> Symbols: ...
    def interfaces(self, namespace: Path) -> Mapping[int, str]:
        """Names by index. Raises OSError when the namespace is gone."""


class KernelDrops:
    """Drops in these nodes' namespaces (node → path) while it is open. A context manager; where the kernel cannot tell them
    `unavailable` says why, and nothing is ever read. A path may come to hold another namespace: that is followed at
    each `read`, and what is dropped between the change and then is not seen."""

    def __init__(self, namespaces: Mapping[str, Path], host: Host) -> None:
        self._paths, self._host = dict(namespaces), host
        self._running: Running | None = None
        self._reasons = Reasons({}, {})
        self._symbols = Symbols()
        self._nodes: dict[int, str] = {}
        self._interfaces: dict[int, Mapping[int, str]] = {}
        self.unavailable = ""

    def __enter__(self) -> KernelDrops:
        try:
            self._running = self._host.start()
        except Unavailable as error:
            self.unavailable = str(error)
            return self
        try:
            self._reasons, self._symbols = self._host.reasons(), self._host.symbols()
            self._follow()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    @property
    def lost(self) -> int:
        """Drops that were not recorded since the ring was full: anything but 0 is a gap of the instrument's own."""
        return self._running.lost() if self._running else 0

    def read(self) -> list[KernelDrop]:
        """Drops since the last call, oldest first. Does not wait; the ring holds some 40,000 of them, so come by in time."""
        if self._running is None:
            return []
        found = sorted(self._told(self._running.read()), key=lambda drop: drop.t_ns)
        self._follow()
        return found

    def _follow(self) -> None:
        now = {inode: node for node, path in self._paths.items() if (inode := _inode(path))}
        if self._running is not None and now != self._nodes:
            self._running.watch(frozenset(now))
            self._nodes = now
            self._interfaces = {inode: names for inode, names in self._interfaces.items() if inode in now}

    def _told(self, records: list[bytes]) -> Iterator[KernelDrop]:
        for record in map(parse, records):
            node = self._nodes.get(record.namespace)
            if node is not None:
                interface = self._name(node, record)
                drop = drop_of(record, node, interface, self._reasons, self._symbols)
                if drop is not None:
                    yield drop

    def _name(self, node: str, record: Record) -> str:
        """The interface's name. An index that is not known yet belongs to a new interface, or to one that is gone."""
        names = self._interfaces.get(record.namespace)
        if record.index and (names is None or record.index not in names):
            try:
                fresh = self._host.interfaces(self._paths[node])
            except OSError:
                fresh = {}
            gone = {record.index: f"#{record.index}"}
            names = self._interfaces[record.namespace] = {**gone, **(names or {}), **fresh}
        return names[record.index] if names and record.index else ""


def _inode(path: Path) -> int:
    """0 where there is nothing, as with a node that is being restarted."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
