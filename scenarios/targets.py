"""Which elements a fault can be aimed at, in which order, and what they are called: pure, from the topology alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from topologies.model import Link, Node, Topology
from topologies.problems import BadInput, Problem, closest, one_of

CLIENT = "client"
"""The role of a vantage. It never fails: nothing would be measured from it."""


def nobody(topology: Topology, expected: str) -> Problem:
    """No node of the topology is what a fault needs."""
    return Problem(topology.path, 0, "topology.nodes", f"roles {', '.join(topology.roles()) or 'none'}", expected)


def with_role(role: str) -> str:
    """What a topology would need, for a message."""
    return f"a node with the label nospof.role: {role}" if role else "a node that is no client"


def ordered_nodes(topology: Topology, role: str = "") -> tuple[str, ...]:
    """Nodes with that role, or any that is no client: those of the region with the fewest of them first, then by name."""
    nodes = topology.nodes_with_role(role) if role else _that_fail(topology.nodes.values())
    sizes = Counter(node.region or "" for node in nodes)
    return tuple(n.name for n in sorted(nodes, key=lambda n: (sizes[n.region or ""], n.region or "", n.name)))


def _that_fail(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if node.role != CLIENT)


def default_node(topology: Topology, role: str) -> str:
    """The first of `ordered_nodes`. Raises BadInput where nobody has the role."""
    nodes = ordered_nodes(topology, role)
    if not nodes:
        raise BadInput([nobody(topology, with_role(role))])
    return nodes[0]


def can_fail(topology: Topology, link: Link) -> bool:
    """Not between two clients: what is between these is no part of the stack."""
    return any(topology.nodes[end.node].role != CLIENT for end in link.endpoints)


def ordered_links(topology: Topology, role: str) -> tuple[Link, ...]:
    """Links of the nodes with that role in their order, of each node in that of the file, each link once."""
    found = (link for node in ordered_nodes(topology, role) for link in topology.links_of(node))
    return tuple(dict.fromkeys(link for link in found if can_fail(topology, link)))


def default_link(topology: Topology, role: str) -> Link:
    """Of the default node of that role, its first link in the file. Raises BadInput where there is none."""
    node = default_node(topology, role)
    links = topology.links_of(node)
    if not links:
        raise BadInput([nobody(topology, f"a link at {node}")])
    return links[0]


def region_nodes(topology: Topology, region: str) -> tuple[str, ...]:
    """Every node of the region, transit included, clients excepted. Raises BadInput for a region without any."""
    nodes = tuple(n.name for n in _that_fail(topology.nodes_in_region(region)))
    if not nodes:
        raise BadInput([nobody(topology, f"a node with the label nospof.region: {region} that is no client")])
    return nodes


def ordered_regions(topology: Topology) -> tuple[str, ...]:
    """Those in which something can fail: the one with the fewest such nodes first, then by name."""
    sizes = Counter(node.region for node in _that_fail(topology.nodes.values()) if node.region)
    return tuple(sorted(sizes, key=lambda region: (sizes[region], region)))


def default_region(topology: Topology) -> str:
    """The first of `ordered_regions`. Raises BadInput where there is none."""
    regions = ordered_regions(topology)
    if not regions:
        raise BadInput([nobody(topology, "nodes with the label nospof.region")])
    return regions[0]


def named_link(topology: Topology, name: str) -> Link:
    """The link called `NODE:INTERFACE` by either end, or by both with a `–` or `-` between. Raises BadInput naming what is there."""
    for link in topology.links:
        a, b = map(str, link.endpoints)
        if name in (a, b, str(link), f"{b}–{a}", f"{a}-{b}", f"{b}-{a}"):
            return link
    node = re.split("[:–]", name)[0]
    there = [str(link) for link in topology.links_of(node)] if node in topology.nodes else []
    shown = ", ".join(there) or f"links of {', '.join(topology.nodes)}{closest(node, tuple(topology.nodes))}"
    raise BadInput([Problem(topology.path, 0, "--target", f"no link {name!r}", f"NODE:INTERFACE, one end of: {shown}")])


def named_links(topology: Topology, name: str) -> tuple[Link, ...]:
    """The links that are meant by that name: one, or, by the name of a node, those of its that can fail, in the file's order. Raises
    BadInput naming what is there."""
    if name not in topology.nodes:
        return (named_link(topology, name),)
    links = tuple(link for link in topology.links_of(name) if can_fail(topology, link))
    if not links:
        found = f"{name}, which has no link that can fail"
        right = one_of([str(link) for link in topology.links if can_fail(topology, link)])
        raise BadInput([Problem(topology.path, topology.nodes[name].line, "--target", found, right)])
    return links


def named_node(topology: Topology, name: str, known: tuple[str, ...] = ()) -> str:
    """The name, if a node has it. Raises BadInput naming those that would be right: `known`, or all that can fail."""
    if name not in topology.nodes:
        right = known or ordered_nodes(topology)
        # Who names an interface or a process has its node in mind.
        hint = closest(name, right) or closest(re.split("[:/–]", name)[0], right)
        raise BadInput([Problem(topology.path, 0, "--target", f"no node {name!r}", f"{one_of(right)}{hint}")])
    return name


def named_region(topology: Topology, name: str) -> str:
    """The name, if some node is in such a region. Raises BadInput naming the regions there are."""
    regions = topology.regions()
    if name not in regions:
        expected = f"{one_of(regions)}{closest(name, regions)}" if regions else "nodes with the label nospof.region"
        raise BadInput([Problem(topology.path, 0, "--target", f"no region {name!r}", expected)])
    return name
