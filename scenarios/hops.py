"""Per-hop latency of a run's probes: stamps of the lab's links, by vantage and service. It decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from probes.hops import HopTime, Kind, Passage, hop_times, parts
from probes.packets import ProbeFlow, Transport
from reports.evidence import schema
from scenarios.died import keys_of
from topologies.linux.stamping import EVERY, Cost, Stamp
from topologies.linux.wired import Links

LEAST = 5
"""Of fewer packets a part of the way has no percentile worth a row."""


def measured_hops(lab: Links, flows: Sequence[ProbeFlow], stamps: Iterable[Stamp]) -> tuple[schema.Hops, ...]:
    """By vantage, service and transport, there and back; SYNs, which have no way of their own, are left out."""
    ends = {end.number: (end.node, peer.node) for pair in lab.pairs() for end, peer in (pair, pair[::-1])}
    roles = {name: node.role or name for name, node in lab.topology.nodes.items()}
    known: dict[tuple[int, int, int], tuple[ProbeFlow, bool]] = {}
    for flow in flows:
        if flow.transport != "tcp":
            there, back = keys_of(flow)
            known[there], known[back] = (flow, False), (flow, True)
    packets: dict[tuple[int, int], list[Passage]] = defaultdict(list)
    owner: dict[int, ProbeFlow] = {}
    for s in stamps:
        found = known.get((s.flow, s.toward, s.protocol))
        if found is not None and s.end in ends:
            flow, answer = found
            owner[flow.id] = flow
            packets[flow.id, s.seq].append(Passage(s.t_ns, *ends[s.end], s.sending, answer))
    ways: dict[tuple[str, str, Transport], list[list[tuple[str, Kind, int, int]]]] = defaultdict(list)
    for (number, _), passages in packets.items():
        flow = owner[number]
        ways[flow.vantage, flow.service, flow.transport].append(parts(passages, roles))
    told = (
        schema.Hops(
            vantage=vantage,
            service=service,
            transport=transport,
            parts=tuple(_part(h) for h in hop_times(some) if h.n >= LEAST),
        )
        for (vantage, service, transport), some in sorted(ways.items())
    )
    return tuple(one for one in told if one.parts)


def _part(h: HopTime) -> schema.HopPart:
    return schema.HopPart(
        label=h.label,
        kind=h.kind,
        n=h.n,
        at_us=round(h.at_ns / 1e3, 1),
        p50_us=round(h.p50_ns / 1e3, 1),
        p99_us=round(h.p99_ns / 1e3, 1),
    )


def cost_of(cost: Cost, seconds: float) -> schema.HopsCost:
    """What stamping took, as it is told."""
    share = cost.ns / 1e9 / seconds if seconds > 0 else 0.0
    return schema.HopsCost(
        every=EVERY,
        cores=round(share, 4),
        per_frame_ns=round(cost.ns / cost.frames) if cost.frames else 0,
        frames=cost.frames,
        lost=cost.lost,
    )
