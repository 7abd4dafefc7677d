"""Which probes a vantage sends, and how often. Pure: it knows what the vantage reaches, and neither processes nor namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probes.packets import BASE_PORT, ProbeFlow, Transport, plan_flows
from topologies.services import Service

INTERVAL_NS = 10_000_000
SYN_INTERVAL_NS = 20_000_000
FLOWS_PER_SERVICE = 50  # shared by its addresses
PINGS_PER_ADDRESS = 1
MOST_THINNED = 4
"""Up to so many times the interval: a budget of 300 ms is told to 40 ms then."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A service at one of its addresses, and the address that the vantage's packets to it have as their source."""

    service: Service
    vip: str
    source: str


def flows_of(vantage: str, number: int, reached: Sequence[Reached], thinned: int = 1) -> list[ProbeFlow]:
    """UDP to every UDP service on each of its addresses; to the others pings, and a schedule of SYNs.

    `number` of the vantage among all keeps identifiers apart. `thinned`: the intervals are so many times as long; flows and their
    ports stay, and so do their ways.
    """
    flows: list[ProbeFlow] = []
    used = {"udp": BASE_PORT["udp"], "icmp": BASE_PORT["icmp"], "tcp": BASE_PORT["tcp"]}
    for one in reached:
        service = one.service
        wanted: list[tuple[Transport, int, int]] = (
            [("udp", FLOWS_PER_SERVICE // len(service.vip), INTERVAL_NS)]
            if service.protocol == "udp"
            else [("icmp", PINGS_PER_ADDRESS, INTERVAL_NS), ("tcp", 1, SYN_INTERVAL_NS)]
        )
        for transport, count, interval in wanted:
            made = plan_flows(
                vantage,
                one.source,
                service.name,
                one.vip,
                service.port,
                count,
                interval * thinned,
                transport=transport,
                first_id=1000 * number + len(flows),
                base_port=used[transport],
            )
            used[transport] = made[-1].sport + made[-1].ports
            flows += made
    return flows
