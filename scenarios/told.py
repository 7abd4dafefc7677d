"""What the kernel and nodes themselves told of drops, as each probe flow's own. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from probes.attribution.reasons import Counted, Handed, Told
from probes.drops.counters import CountedDrops
from probes.drops.kernel import KernelDrop
from probes.packets import ProbeFlow
from probes.watch import HandedDrop
from reports.evidence.handed import Flow
from scenarios.died import SYN_NUMBER, Drops
from scenarios.protocols import TCP, protocol_of


def drops_of(
    flows: Sequence[ProbeFlow],
    kernel: Iterable[KernelDrop],
    handed: Iterable[HandedDrop],
    counted: Iterable[CountedDrops] = (),
    missing: str = "",
) -> Drops:
    """By vantage, flow and sequence number (TCP: 24 bits); what a node handed over without a flow is told of every flow."""
    told: dict[tuple[str, int, int], list[Told]] = defaultdict(list)
    by_id = {flow.id: flow for flow in flows if flow.transport != "tcp"}
    syns = [flow for flow in flows if flow.transport == "tcp"]
    for drop in kernel:
        flow, seq = by_id.get(drop.probe) if drop.probe is not None else None, drop.seq
        if drop.flow.protocol == TCP:
            flow, seq = _of_syn(syns, drop)
        if flow is not None and seq is not None:
            told[flow.vantage, flow.id, seq].append(Told(drop.node, drop.interface, drop.reason, drop.words))
    own: dict[tuple[str, int], list[Handed]] = defaultdict(list)
    for one in handed:
        for flow in flows:
            if one.flow is None or same_flow(flow, one.flow):
                said = Handed(one.node, one.reason, one.first_ns, one.last_ns, one.detail, one.flow is not None)
                own[flow.vantage, flow.id].append(said)
    named = {key: sorted(some, key=lambda h: h.first_ns) for key, some in own.items()}
    moved = tuple(Counted(one.node, one.counter.reason, one.count, one.words) for one in counted)
    return Drops(dict(told), named, moved, missing)


def _of_syn(flows: Sequence[ProbeFlow], drop: KernelDrop) -> tuple[ProbeFlow | None, int | None]:
    """The flow of a dropped SYN, or of what answered it, and the probe's number."""
    if drop.segment is None:
        return None, None
    at = drop.flow
    for flow in flows:
        for number, client, vip in (
            (drop.segment.sequence, (at.src, at.sport), (at.dst, at.dport)),
            (drop.segment.acknowledged - 1, (at.dst, at.dport), (at.src, at.sport)),
        ):
            ours = flow.src == client[0] and 0 <= client[1] - flow.sport < flow.ports
            if ours and (flow.dst, flow.dport) == vip and number >> 24 & 0xFF == flow.id & 0xFF:
                return flow, number & SYN_NUMBER
    return None, None


def same_flow(flow: ProbeFlow, named: Flow) -> bool:
    """Whether a 5-tuple of the client's packet is this flow's. An echo has its identifier for a source port."""
    if (flow.src, flow.dst) != (named.src, named.dst):
        return False
    if named.protocol != protocol_of(flow):
        return False
    if flow.transport == "icmp":
        return flow.sport == named.sport
    return 0 <= named.sport - flow.sport < flow.ports and flow.dport == named.dport
