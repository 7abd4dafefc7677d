"""Which element a fault is aimed at when nobody says: pure, from the topology alone."""

from __future__ import annotations

from topologies.model import Topology
from topologies.problems import BadInput, Problem


def _nothing(topology: Topology, expected: str) -> BadInput:
    return BadInput(
        [Problem(topology.path, 0, "topology.nodes", f"roles {', '.join(topology.roles()) or 'none'}", expected)]
    )


def default_node(topology: Topology, role: str) -> str:
    """In the region with the fewest nodes of that role, the first by name. Raises BadInput where nobody has the role."""
    nodes = topology.nodes_with_role(role)
    if not nodes:
        raise _nothing(topology, f"a node with the label nospof.role: {role}")
    regions = {node.region or "" for node in nodes}
    region = min(regions, key=lambda r: (sum(1 for n in nodes if (n.region or "") == r), r))
    return min(n.name for n in nodes if (n.region or "") == region)


def region_nodes(topology: Topology, region: str) -> tuple[str, ...]:
    """Every node of the region, transit included, clients excepted. Raises BadInput for a region without any."""
    nodes = tuple(n.name for n in topology.nodes_in_region(region) if n.role != "client")
    if not nodes:
        raise _nothing(topology, f"a node with the label nospof.region: {region} that is no client")
    return nodes


def default_region(topology: Topology) -> str:
    """The one with the fewest nodes that can fail, then by name. Raises BadInput where there is none."""
    regions = [r for r in topology.regions() if any(n.role != "client" for n in topology.nodes_in_region(r))]
    if not regions:
        raise _nothing(topology, "nodes with the label nospof.region")
    return min(regions, key=lambda r: (len(region_nodes(topology, r)), r))
