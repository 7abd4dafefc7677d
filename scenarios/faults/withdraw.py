"""Withdraw: the node takes its routes back at once, by the contract's action."""

from __future__ import annotations

from scenarios.faults.action import ActionFault
from scenarios.faults.base import FaultPlan, kind_of
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab


def withdraw(lab: LinuxLab, contract: Contract, node: str) -> ActionFault:
    """A withdrawal by `node`. Raises BadInput where the contract has no such action for its role."""
    role = lab.topology.nodes[node].role
    element = f"{kind_of(role)} {node}"
    plan = FaultPlan("withdraw", node, role, (node,), f"Withdrew the routes of {element}", element, action=True)
    return ActionFault(lab, contract, plan, "withdraw", "announce")
