"""Kill of one node, silently: its carrier stays, so only BFD or a health check can notice."""

from __future__ import annotations

from scenarios.faults.base import FaultPlan, kind_of
from scenarios.faults.kill import KillFault
from topologies.linux.lab import LinuxLab


def kill_node(lab: LinuxLab, node: str) -> KillFault:
    """A silent kill of `node`."""
    role = lab.topology.nodes[node].role
    element = f"{kind_of(role)} {node}"
    return KillFault(
        lab,
        FaultPlan(
            "kill-node", node, role, (node,), f"Killed {element} silently", element, ends_connections=True, kills=True
        ),
    )
