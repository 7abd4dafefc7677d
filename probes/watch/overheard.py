"""Events of routing protocols from the packets that carried them. Pure; it must not know who caught the packets, or how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

from probes.watch import bfd, bgp, packet
from probes.watch.event import TimelineEvent
from probes.watch.stream import Stream

ACC_NS = 1_000
"""The kernel reads the clock in the hook itself; what is left is the reading."""

ON_LINK = frozenset((1, 254, 255))
"""TTLs of sessions between the two ends of a link: eBGP, GTSM (RFC 5082) less a hop at most, BFD (RFC 5881)."""

Ends = Mapping[int, tuple[str, str, str]]
"""What the wires call an end (its interface index, where that is unique in the lab) → node, interface, other node."""


class Heard(Protocol):
    """A packet as it left its sender: CLOCK_MONOTONIC ns, the interface's index, its length, and it from the IP header
    on, cut short perhaps."""

    @property
    def t_ns(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def packet(self) -> bytes: ...


class Overheard:
    """Takes packets in the order they were sent. `problems` counts what could not be understood, by what it was."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._sessions = bfd.Sessions()
        self._streams: dict[tuple[int, str, int, str, int], Stream] = {}
        self._spoken_ns: dict[tuple[int, str, int, str, int], int] = {}
        self.problems: Counter[str] = Counter()

    def add(self, heard: Heard) -> list[TimelineEvent]:
        """What this packet told. Nothing is raised: what makes no sense is counted."""
        end = self._ends.get(heard.index)
        if end is None:
            self.problems[f"a packet from interface {heard.index}, which is nobody's"] += 1
            return []
        node, interface, neighbour = end
        try:
            sent = packet.parse(heard.packet, heard.length)
        except ValueError as error:
            self.problems[f"{node} {interface}: {error}"] += 1
            return []
        on_link = sent.hops in ON_LINK or sent.dst.startswith("fe80:")
        peer = neighbour if on_link else sent.dst
        said = self._bfd if sent.protocol == packet.UDP else self._bgp
        if sent.protocol != packet.UDP:
            self._spoken_ns[_connection(heard.index, sent)] = heard.t_ns
        return [
            TimelineEvent(heard.t_ns, ACC_NS, node, source, what, detail, peer, interface, prefix)
            for source, what, detail, prefix in said(heard.index, f"{node} {interface}", sent)
        ]

    def forget(self, before_ns: int) -> None:
        """Lets go of connections that said nothing new since then: whoever breaks and makes one leaves the old. One that speaks again
        is taken up where it is."""
        self._spoken_ns = {key: t_ns for key, t_ns in self._spoken_ns.items() if t_ns >= before_ns}
        self._streams = {key: stream for key, stream in self._streams.items() if key in self._spoken_ns}

    def _bfd(self, index: int, where: str, sent: packet.Packet) -> Iterator[tuple[str, str, str, str | None]]:
        try:
            control = bfd.parse(sent.payload)
        except ValueError as error:
            self.problems[f"{where}: {error}"] += 1
            return
        if self._sessions.changed((index, sent.src, sent.dst), control):
            yield "bfd", control.state, control.reason if control.diagnostic else "", None

    def _bgp(self, index: int, where: str, sent: packet.Packet) -> Iterator[tuple[str, str, str, str | None]]:
        stream = self._streams.setdefault(_connection(index, sent), Stream())
        skipped = stream.skipped
        messages = stream.feed(sent.seq, sent.payload, sent.missing)
        if stream.skipped > skipped:
            self.problems[f"{where}: BGP bytes that belong to no whole message"] += stream.skipped - skipped
        for raw in messages:
            try:
                message = bgp.parse(raw)
            except ValueError as error:
                self.problems[f"{where}: {error}"] += 1
                continue
            for what, detail, prefix in told(message):
                yield "bgp", what, detail, prefix


def _connection(index: int, sent: packet.Packet) -> tuple[int, str, int, str, int]:
    return index, sent.src, sent.sport, sent.dst, sent.dport


def told(message: bgp.Message) -> Iterator[tuple[str, str, str | None]]:
    """A message as (what, detail, prefix): an UPDATE is as many events as it names prefixes, a KEEPALIVE none."""
    match message:
        case bgp.Update():
            if message.end_of_rib:
                yield "end-of-rib", "", None
            for prefix in message.withdrawn:
                yield "withdraw", "", prefix
            path = " ".join(map(str, message.as_path)) or "empty"
            tags = f", communities {' '.join(message.communities)}" if message.communities else ""
            for prefix in message.announced:
                yield "update", f"next hop {message.next_hop or 'unknown'}, AS path {path}{tags}", prefix
        case bgp.Notification():
            yield "notification", message.reason, None
        case bgp.Open():
            yield "open", f"AS {message.asn}, hold time {message.hold_s} s, router {message.identifier}", None
        case bgp.Other():
            if message.kind == bgp.ROUTE_REFRESH:
                yield "refresh", "", None
