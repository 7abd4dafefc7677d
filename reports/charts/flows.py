"""Every probe flow of a scenario as one row: its losses as stretches, its outage, the backends before and after.

Pure sums over the packed blocks; it must not know scale, drawing or any verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from reports.charts.stretches import IMPAIRED, Stretch, impaired, stretches
from reports.evidence.schema import NOT_A_BACKEND, NOT_SENT, Flow, Flows, Transport, unpack_per_flow, unpack_u8


def is_routed(transport: Transport) -> bool:
    """Whether probes keep one 5-tuple; SYNs and requests have a new port each."""
    return transport in ("udp", "icmp")


def is_request(transport: Transport) -> bool:
    """Whether each is a whole request, by HTTP or without."""
    return transport in ("http", "request")


@dataclass(frozen=True)
class Kind:
    """What the flows of one block have in common."""

    vantage: str
    service: str
    transport: Transport
    family: Literal[4, 6]

    @property
    def label(self) -> str:
        """`udp v6`; a block of SYNs or requests is named for what it tries."""
        if is_request(self.transport):
            return f"{self.strip} v{self.family}"
        return f"{'new tcp' if self.transport == 'tcp' else self.transport} v{self.family}"

    @property
    def strip(self) -> str:
        """What is drawn as one strip: requests to one service are, whatever their family."""
        return f"requests {self.service}" if is_request(self.transport) else self.label

    @property
    def routed(self) -> bool:
        """Its flows have a path of their own, so that a black hole can be told from them (RFC 6412)."""
        return is_routed(self.transport)


@dataclass(frozen=True)
class FlowRow:
    """One flow as it is drawn and listed. `lost` counts impaired probes of the whole window; `outage_ns` is those due
    between fault and heal, ÷ rate (RFC 6412, loss-derived): the others are no part of the black hole.
    `longest_end_ns` is when the longest run of those ended. The backends are the last named before the fault and of all. The
    ways are the nodes that its packets passed then, empty where nobody knows.
    """

    kind: Kind
    flow: Flow
    interval_ns: int
    found: tuple[Stretch, ...]
    lost: int
    unsent: int
    outage_ns: int
    episodes: int
    longest_end_ns: int | None
    before: str | None
    after: str | None
    way_before: tuple[str, ...] = ()
    way_after: tuple[str, ...] = ()

    @property
    def touched(self) -> bool:
        return self.flow.touched

    @property
    def vantage(self) -> str:
        return self.kind.vantage

    @cached_property
    def tuple_text(self) -> str:
        return f"{socket(self.flow.src, self.flow.sport)} → {socket(self.flow.dst, self.flow.dport)}"


def flow_rows(blocks: Iterable[Flows], heal_ns: int | None = None) -> list[FlowRow]:
    """Every flow, grouped by kind as they come, routed kinds of a vantage first, requests last, the longest outage of each first.

    Raises ValueError when a block does not hold what it announces.
    """
    groups: dict[Kind, list[FlowRow]] = {}
    for block in blocks:
        kind = Kind(block.vantage, block.service, block.transport, block.family)
        group = groups.setdefault(kind, [])
        backends = unpack_u8(block.backend)
        at = 0
        for flow, state in zip(block.flows, unpack_per_flow(block), strict=True):
            group.append(_row(kind, block, flow, state, backends[at : at + flow.count], heal_ns))
            at += flow.count
    order = {vantage: n for n, vantage in enumerate(dict.fromkeys(kind.vantage for kind in groups))}
    kinds = sorted(groups, key=lambda kind: (order[kind.vantage], not kind.routed, is_request(kind.transport)))
    return [
        row
        for kind in kinds
        for row in sorted(groups[kind], key=lambda r: (-r.outage_ns, -r.lost, not r.touched, r.flow.id))
    ]


def socket(address: str, port: int) -> str:
    """`10.0.0.1:7`, `[2001:db8::1]:7`, and the address alone where there is no port (ICMP)."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _way(block: Flows, number: int | None) -> tuple[str, ...]:
    return block.ways[number] if number is not None and number < len(block.ways) else ()


def _row(kind: Kind, block: Flows, flow: Flow, state: bytes, backends: bytes, heal_ns: int | None) -> FlowRow:
    found = tuple(stretches(state))
    bad = [one for one in found if one.state in IMPAIRED]

    def due_from(t_ns: int) -> int:
        return max(0, min(flow.count, -(-(t_ns - flow.first_due_ns) // block.interval_ns)))

    fault_at = due_from(block.event_ns if flow.judged_from_ns is None else flow.judged_from_ns)
    heal_at = flow.count if heal_ns is None else due_from(heal_ns)
    longest = max(
        (one for one in bad if one.end > fault_at and one.start < heal_at), key=lambda one: one.length, default=None
    )
    return FlowRow(
        kind=kind,
        flow=flow,
        interval_ns=block.interval_ns,
        found=found,
        lost=impaired(state),
        unsent=state.count(bytes((NOT_SENT,))),
        outage_ns=impaired(state[fault_at:heal_at]) * block.interval_ns,
        episodes=_episodes(found),
        longest_end_ns=flow.first_due_ns + longest.end * block.interval_ns if longest else None,
        before=_last_named(backends[:fault_at], block.backends),
        after=_last_named(backends[fault_at:], block.backends),
        way_before=_way(block, flow.way_before),
        way_after=_way(block, flow.way_after),
    )


def _episodes(found: Sequence[Stretch]) -> int:
    """Impaired probes in a row are one episode, whatever impairments they mix; a probe not sent ends none."""
    episodes, end, within = 0, -1, False
    for one in found:
        within = within and one.start == end
        if one.state in IMPAIRED and not within:
            episodes, within = episodes + 1, True
        end = one.end
    return episodes


def _last_named(backends: bytes, names: Sequence[str]) -> str | None:
    kept = backends.rstrip(bytes((NOT_A_BACKEND,)))
    return names[kept[-1]] if kept and kept[-1] < len(names) else None
