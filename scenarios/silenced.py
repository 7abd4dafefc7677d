"""Which BFD sessions fell silent that the fault has nothing to do with: routers of the lab that did not run in time. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from probes.watch import TimelineEvent
from probes.watch.bfd import DIAGNOSTICS
from scenarios.faults.base import FaultPlan

EXPIRED = DIAGNOSTICS[1]
"""The diagnostic of RFC 5880 for a session that heard nothing."""


def silenced(events: Iterable[TimelineEvent], plan: FaultPlan, nodes: Collection[str]) -> tuple[str, ...]:
    """Sessions over a single link, by their two nodes, of which one end says so; none at the fault's nodes or on its links.

    A session over several hops may have gone by way of the fault, and is not counted.
    """
    cut = {(end.node, end.interface) for link in plan.links for end in link.endpoints}
    found = {
        f"{event.node} with {event.peer}"
        for event in events
        if (event.source, event.what, event.detail) == ("bfd", "down", EXPIRED)
        and event.peer in nodes
        and not {event.node, event.peer} & set(plan.nodes)
        and (event.node, event.interface) not in cut
    }
    return tuple(sorted(found))
