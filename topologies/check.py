"""Holds a topology against its contract: is there somebody to ask, somebody to answer, and a way between them.

Must not know scenarios; they say which roles they need."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from topologies.contract import Contract, contract_path_for, load_contract
from topologies.model import IMAGES, ROLE_LABEL, Topology
from topologies.problems import BadInput, Problem
from topologies.source import load_topology

SERVING_ROLES = ("l4", "l7", "app")
"""Any of these may hold a VIP; a small stack need not have all three tiers."""


def load_checked(
    topology_path: Path, contract_path: Path | None = None, *, images: Collection[str] | None = IMAGES
) -> tuple[Topology, Contract]:
    """Both files read and held against each other. Raises BadInput; without `contract_path` the one beside is taken.
    `images`: those that the runtime can run, None for any."""
    topology = load_topology(topology_path, images)
    contract = load_contract(contract_path or contract_path_for(topology_path), topology)
    problems = check(topology, contract)
    if problems:
        raise BadInput(problems)
    return topology, contract


def check(topology: Topology, contract: Contract) -> list[Problem]:
    """What makes measuring this pair impossible, although each file alone is well-formed."""
    problems = [*missing_roles(topology, ["client"]), *_hidden_paths(topology)]
    serving = [node for role in SERVING_ROLES for node in topology.nodes_with_role(role)]
    if not serving:
        expected = (
            f"a node with the label {ROLE_LABEL} out of {', '.join(SERVING_ROLES)}: something has to serve the VIPs"
        )
        problems.append(Problem(topology.path, 0, "topology.nodes", _roles_found(topology), expected))
    reachable = _reachable(topology, [node.name for node in serving])
    for client in topology.nodes_with_role("client"):
        if serving and client.name not in reachable:
            found = "a client without any path of links to a serving node"
            expected = "links that lead to one, or it measures nothing"
            problems.append(Problem(topology.path, client.line, f"topology.nodes.{client.name}", found, expected))
    for fault, what, there in (
        ("kill-region", "region", topology.regions()),
        ("kill-domain", "domain", [domain for node in topology.nodes.values() for domain in node.domains]),
    ):
        budget = contract.budgets.get(fault)
        if budget and not budget.not_promised and not there:
            expected = f"labels nospof.{what} in the topology, or no budget for it"
            problems.append(Problem(contract.path, 0, f"budgets.{fault}", f"a topology without {what}s", expected))
    return problems


def missing_roles(topology: Topology, roles: Iterable[str]) -> list[Problem]:
    """A problem for every role that no node has; for scenarios that cannot run without them."""
    return [
        Problem(
            topology.path, 0, "topology.nodes", _roles_found(topology), f"a node with the label {ROLE_LABEL}: {role}"
        )
        for role in roles
        if not topology.nodes_with_role(role)
    ]


def _roles_found(topology: Topology) -> str:
    return f"only the roles {', '.join(topology.roles())}" if topology.roles() else "no node with a role"


def _hidden_paths(topology: Topology) -> list[Problem]:
    managed = [] if topology.mgmt is None else [topology.nodes[name] for name in topology.mgmt.addresses]
    if not managed:
        return []
    names = ", ".join(node.name for node in managed[:4]) + (" and others" if len(managed) > 4 else "")
    found = f"a management network that {names} {'is' if len(managed) == 1 else 'are'} on"
    expected = "'network-mode: none' where faults are measured: it would be a hidden path around every one of them"
    return [Problem(topology.path, managed[0].line, f"topology.nodes.{managed[0].name}.network-mode", found, expected)]


def _reachable(topology: Topology, start: Iterable[str]) -> set[str]:
    neighbours: dict[str, set[str]] = {name: set() for name in topology.nodes}
    for link in topology.links:
        one, other = (end.node for end in link.endpoints)
        neighbours[one].add(other)
        neighbours[other].add(one)
    seen = set(start)
    todo = list(seen)
    while todo:
        new = neighbours[todo.pop()] - seen
        seen |= new
        todo += new
    return seen
