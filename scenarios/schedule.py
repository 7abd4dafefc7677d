"""Which probes a vantage sends, and how often, and to whom it keeps connections. Pure: it knows what the vantage reaches, and neither
processes nor namespaces.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from probes.connections import Security, Target
from probes.packets import BASE_PORT, ProbeFlow, Transport, plan_flows
from topologies.services import Service

INTERVAL_NS = 10_000_000
SYN_INTERVAL_NS, SLOWEST_SYN_INTERVAL_NS = 20_000_000, 40_000_000
FLOWS_PER_SERVICE = 50  # shared by its addresses
PINGS_PER_ADDRESS = 1
IDENTITY = "x-backend"
"""The header that is taken to name the backend where a contract names none."""
HEARTBEAT_NS, SLOWEST_HEARTBEAT_NS = 1_000_000_000, 2_500_000_000
HEARTBEATS_PER_S, HEARTBEATS_PER_S_AND_CORE = 400, 20
"""A vantage's connections beat once per second; from so many on, as much less often as keeps to these, down to the slowest. That is
still seen to stall (2 s) within the five quiet seconds before the heal, and within those after it. A heartbeat costs a millisecond
of CPU, most of it the balancer's."""
MOST_THINNED = 4
"""Up to so many times the interval: a budget of 300 ms is told to 40 ms then."""
PROBES_PER_S_AND_CORE = 3000
"""A probe and its answer cross a dozen interfaces, which costs some 50 us of CPU: they may take a sixth of the CPU."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A service at one of its addresses, and the address that the vantage's packets to it have as their source."""

    service: Service
    vip: str
    source: str


def flows_of(
    vantage: str, number: int, reached: Sequence[Reached], thinned: int = 1, no_ping: Collection[str] = ()
) -> list[ProbeFlow]:
    """UDP to every UDP service on each of its addresses; to the others a schedule of SYNs, and pings, once per address, but none to
    those of `no_ping`, which answer none.

    `number` of the vantage among all keeps identifiers apart. `thinned`: the intervals are so many times as long, those of SYNs (few
    and cheap) up to their slowest; flows and their ports stay, and so do their ways.
    """
    flows: list[ProbeFlow] = []
    pinged: set[str] = set()
    used = {"udp": BASE_PORT["udp"], "icmp": BASE_PORT["icmp"], "tcp": BASE_PORT["tcp"]}
    for one in reached:
        service = one.service
        wanted: list[tuple[Transport, int, int]] = []
        if service.protocol == "udp":
            wanted.append(("udp", FLOWS_PER_SERVICE // len(service.vip), INTERVAL_NS * thinned))
        else:
            if one.vip not in pinged and one.vip not in no_ping:
                pinged.add(one.vip)
                wanted.append(("icmp", PINGS_PER_ADDRESS, INTERVAL_NS * thinned))
            wanted.append(("tcp", 1, min(SYN_INTERVAL_NS * thinned, SLOWEST_SYN_INTERVAL_NS)))
        for transport, count, interval in wanted:
            made = plan_flows(
                vantage,
                one.source,
                service.name,
                one.vip,
                service.port,
                count,
                interval,
                transport=transport,
                first_id=1000 * number + len(flows),
                base_port=used[transport],
            )
            used[transport] = made[-1].sport + made[-1].ports
            flows += made
    return flows


def thinned_at_first(flows: Sequence[ProbeFlow], cores: int) -> int:
    """How many times the interval a run of these flows (of all vantages) begins with: as dense as so many cores carry beside a lab.

    A host that turns out to be busier is given fewer probes later.
    """
    per_s = sum(1e9 / flow.interval_ns for flow in flows)
    thinned = 1
    while thinned < MOST_THINNED and per_s / thinned > PROBES_PER_S_AND_CORE * cores:
        thinned *= 2
    return thinned


def connected_to(reached: Sequence[Reached]) -> list[Target]:
    """Whom long-lived connections go to, in turn: every HTTP service, at each of its addresses, in each version that it speaks."""
    return [
        Target(
            one.source,
            one.vip,
            one.service.port,
            one.service.host or one.vip,
            one.service.path or "/",
            one.service.identity or IDENTITY,
            version,
            security_of(one.service),
        )
        for one in reached
        for version in one.service.http
    ]


def heartbeat_ns(count: int, cores: int, idle_ns: int | None = None) -> int:
    """Between two heartbeats of one of so many connections of a vantage, on a host of so many cores. A service that closes what is
    silent for `idle_ns` hears from a busy one twice in that time."""
    per_s = min(HEARTBEATS_PER_S, HEARTBEATS_PER_S_AND_CORE * cores)
    interval_ns = max(HEARTBEAT_NS, min(SLOWEST_HEARTBEAT_NS, count * 1_000_000_000 // per_s))
    return interval_ns if idle_ns is None else min(interval_ns, max(1, idle_ns // 2))


def shortest_idle_ns(reached: Sequence[Reached]) -> int | None:
    """After how long without a word the least patient of these services closes; None where none says so."""
    return min((r.service.idle_ns for r in reached if r.service.idle_ns is not None), default=None)


def security_of(service: Service) -> Security | None:
    """What TLS to a service has to show; None without TLS."""
    if service.protocol != "https":
        return None
    return Security(None if service.ca is None else str(service.ca))
