"""What crossed the element before it was broken, as taps saw it: probe flows, schedules of SYNs and requests, connections. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from scenarios.protocols import TCP
from topologies.linux.wire import Flow
from topologies.linux.wired import Crossing
from topologies.model import Link

SYN_PORT = 0
"""Taps know the SYNs of one client to one service as one flow, without the client's port."""


def at_element(crossings: Iterable[Crossing], nodes: Collection[str], links: Collection[Link]) -> tuple[Crossing, ...]:
    """Those that entered or left one of these nodes, or took one of these links."""
    return tuple(c for c in crossings if c.sender in nodes or c.receiver in nodes or c.over(links))


@dataclass(frozen=True)
class Touching:
    """The crossings of an element. `nodes`: those of the element itself, whose name an answer may bear."""

    crossings: tuple[Crossing, ...]
    nodes: frozenset[str]

    @cached_property
    def _flows(self) -> frozenset[Flow]:
        return frozenset(c.flow for c in self.crossings)

    @cached_property
    def _ports(self) -> Mapping[tuple[str, str, int], set[int]]:
        """Who went from where to which TCP port, there or back → from which source ports; 0: by a SYN."""
        found: dict[tuple[str, str, int], set[int]] = defaultdict(set)
        for flow in self._flows:
            if flow.protocol == TCP:
                found[flow.src, flow.dst, flow.dport].add(flow.sport)
                found[flow.dst, flow.src, flow.sport].add(flow.dport)
        return found

    def flow(self, flow: Flow) -> bool:
        """Whether this 5-tuple, or its answers, crossed."""
        return flow in self._flows or flow.reversed() in self._flows

    def schedule(self, src: str, dst: str, dport: int, first_port: int, ports: int) -> bool:
        """Whether a SYN of a schedule crossed, or one of its connections, which have these source ports."""
        found = self._ports.get((src, dst, dport), ())
        return any(port == SYN_PORT or first_port <= port < first_port + ports for port in found)

    def ended_here(self, flow: Flow) -> bool | None:
        """Whether packets of this 5-tuple entered the element's nodes and did not leave them; None where none entered."""
        entered = any(c.flow == flow and c.receiver in self.nodes for c in self.crossings)
        left = any(c.flow == flow and c.sender in self.nodes and c.receiver not in self.nodes for c in self.crossings)
        return not left if entered else None

    def carries(self, vips: Collection[str]) -> bool:
        """Whether a packet to or from a VIP crossed."""
        return any(flow.src in vips or flow.dst in vips for flow in self._flows)
