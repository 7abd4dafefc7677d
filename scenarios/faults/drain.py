"""Drain: the node is asked to give its traffic away without losing any, by the contract's action."""

from __future__ import annotations

from scenarios.faults.action import ActionFault
from scenarios.faults.base import FaultPlan, kind_of
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab


def drain(lab: LinuxLab, contract: Contract, node: str) -> ActionFault:
    """A drain of `node`. Raises BadInput where the contract has no such action for its role."""
    role = lab.topology.nodes[node].role
    element = f"{kind_of(role)} {node}"
    plan = FaultPlan("drain", node, role, (node,), f"Drained {element}", element, action=True)
    return ActionFault(lab, contract, plan, "drain", "undrain")
