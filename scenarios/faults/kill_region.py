"""Kill of a region, silently: every node of it but the clients, all links cut within 10 ms."""

from __future__ import annotations

from scenarios.faults.base import FaultPlan
from scenarios.faults.kill import KillFault
from scenarios.targets import region_nodes
from topologies.linux.lab import LinuxLab


def kill_region(lab: LinuxLab, region: str) -> KillFault:
    """A silent kill of `region`. Raises BadInput where it has no node that can fail."""
    nodes, element = region_nodes(lab.topology, region), f"region {region}"
    return KillFault(
        lab,
        FaultPlan(
            "kill-region", region, None, nodes, f"Killed {element} silently", element, ends_connections=True, kills=True
        ),
    )
