"""Which element a fault is aimed at when nobody says: pure, from the topology alone."""

from __future__ import annotations

from topologies.model import Link, Topology
from topologies.problems import BadInput, Problem, closest, one_of


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


def default_link(topology: Topology, role: str) -> Link:
    """Of the default node of that role, its first link in the file. Raises BadInput where there is none."""
    node = default_node(topology, role)
    links = topology.links_of(node)
    if not links:
        raise _nothing(topology, f"a link at {node}")
    return links[0]


def named_link(topology: Topology, name: str) -> Link:
    """The link called `NODE:INTERFACE` by either end, or by both with a `–` or `-` between. Raises BadInput naming what is there."""
    for link in topology.links:
        a, b = map(str, link.endpoints)
        if name in (a, b, str(link), f"{b}–{a}", f"{a}-{b}", f"{b}-{a}"):
            return link
    node = name.partition(":")[0]
    there = [str(link) for link in topology.links_of(node)] if node in topology.nodes else []
    shown = ", ".join(there) or f"links of {', '.join(topology.nodes)}"
    raise BadInput([Problem(topology.path, 0, "--target", f"no link {name!r}", f"NODE:INTERFACE, one end of: {shown}")])


def named_node(topology: Topology, name: str) -> str:
    """The name, if a node has it. Raises BadInput naming the nodes there are."""
    if name not in topology.nodes:
        shown = one_of(tuple(topology.nodes))
        raise BadInput(
            [
                Problem(
                    topology.path, 0, "--target", f"no node {name!r}", f"{shown}{closest(name, tuple(topology.nodes))}"
                )
            ]
        )
    return name


def named_region(topology: Topology, name: str) -> str:
    """The name, if some node is in such a region. Raises BadInput naming the regions there are."""
    if name not in topology.regions():
        raise BadInput([Problem(topology.path, 0, "--target", f"no region {name!r}", one_of(topology.regions()))])
    return name
