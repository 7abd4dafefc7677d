"""From what a node of the reference tells of a drop to where a probe's death is put: the whole join, for tests of each reason."""

from __future__ import annotations

from dataclasses import replace

from probes.attribution.reasons import Cause
from probes.packets import ProbeFlow, Transport
from probes.watch import HandedDrop
from reports.evidence.handed import Drop
from scenarios.died import Judged, deaths, keys_of
from scenarios.told import drops_of
from tests.scenarios.made import EVENT, slots, trace
from topologies.linux.sights import Sight, Sights

TRANSPORTS: dict[int, Transport] = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}
INTO_NODE = 3


def put_down(drop: Drop, node: str) -> Cause | None:
    """The cause found for a probe of the flow that the drop names, noted on its way into the node and nowhere else, which was due when
    the node dropped something. None where no probe could be of such a flow."""
    named = drop.flow
    if named is None or not named.sport or named.protocol not in TRANSPORTS:
        return None
    transport = TRANSPORTS[named.protocol]
    flow = ProbeFlow(7, "us", "x", named.src, named.sport, named.dst, named.dport, 10_000_000, 0, transport=transport)
    lost = trace([EVENT])
    due = lost.due - lost.due[EVENT] + drop.first_ns
    lost = replace(lost, flow=flow, due=due)
    (number, toward, protocol), _ = keys_of(flow)
    sights = Sights({Sight(number, toward, INTO_NODE, protocol, 0): slots([EVENT])})
    handed = HandedDrop(node, drop.source, drop.reason, named, drop.count, drop.first_ns, drop.last_ns)
    judged = Judged(lost, int(due[0]), int(due[-1]) + 1)
    ways = {INTO_NODE: ("us", node, "eth1")}
    (death,) = deaths([judged], sights, ways.__getitem__, drops_of([flow], (), [handed]))
    return death.cause
