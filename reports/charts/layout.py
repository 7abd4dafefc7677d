"""Where each node of a topology stands on the map: regions side by side, roles as tiers, clients on top.

Pure arithmetic on names, roles and links (networkx); it must not know faults, flows or drawing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx

from reports.evidence.schema import Topology, TopologyNode

WIDTH = 330.0
TIERS = ("client", "transit", "edge", "l4", "l7", "app")
ASIDE = ("control", "dns")
"""They stand below all others: no packet of a client crosses them."""
TIER, TOP, NODE = 33.0, 26.0, 15.0


@dataclass(frozen=True)
class Place:
    """The middle of a node's box, and its name without what its region already says."""

    name: str
    label: str
    role: str
    x: float
    y: float
    width: float
    height: float = NODE


@dataclass(frozen=True)
class Column:
    region: str
    x: float
    width: float


@dataclass(frozen=True)
class Layout:
    places: dict[str, Place]
    columns: tuple[Column, ...]
    links: tuple[tuple[str, str], ...]
    height: float


def lay_out(topology: Topology) -> Layout:
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(node.name for node in topology.nodes)
    graph.add_edges_from((link.a, link.b) for link in topology.links if link.a in graph and link.b in graph)
    tier_of = _tiers(topology.nodes, graph)
    used = sorted(set(tier_of.values()))
    rank = {tier: n for n, tier in enumerate(used)}
    regions = list(dict.fromkeys(node.region or "" for node in topology.nodes))
    rows: dict[tuple[str, int], list[TopologyNode]] = defaultdict(list)
    for node in topology.nodes:
        rows[node.region or "", rank[tier_of[node.name]]].append(node)
    # A region is as wide as its widest tier asks, so that boxes have one width all over the map.
    widest = {region: max(len(row) for (owner, _), row in rows.items() if owner == region) for region in regions}
    gap = 8.0
    unit = (WIDTH - gap * (len(regions) - 1)) / max(1, sum(widest.values()))
    places: dict[str, Place] = {}
    columns = []
    left = 0.0
    for region in regions:
        width = unit * widest[region]
        columns.append(Column(region, round(left, 1), round(width, 1)))
        for (owner, tier), row in rows.items():
            if owner != region:
                continue
            for n, node in enumerate(_ordered(row, graph, places)):
                x = left + width * (n + 0.5) / len(row)
                label = _label(node)
                size = min(max(5.4 * len(label) + 7, 22.0), max(width / len(row) - 3, 6.0))
                places[node.name] = Place(
                    node.name, label, node.role or "", round(x, 1), TOP + TIER * tier, round(size, 1)
                )
        left += width + gap
    links = tuple((a, b) for a, b in graph.edges)
    return Layout(places, tuple(columns), links, TOP + TIER * (len(used) - 1) + NODE)


def _tiers(nodes: Sequence[TopologyNode], graph: nx.Graph[str]) -> dict[str, int]:
    """By role; a node of no known role stands as deep as it is away from the nearest client."""
    clients = [node.name for node in nodes if node.role == "client"] or [node.name for node in nodes[:1]]
    away = nx.multi_source_dijkstra_path_length(graph, clients) if clients else {}
    tiers = {}
    for node in nodes:
        if node.role in TIERS:
            tiers[node.name] = TIERS.index(node.role)
        elif node.role in ASIDE:
            tiers[node.name] = len(TIERS)
        else:
            tiers[node.name] = min(len(TIERS) - 1, int(away.get(node.name, len(TIERS) - 1)))
    return tiers


def _ordered(row: Sequence[TopologyNode], graph: nx.Graph[str], placed: dict[str, Place]) -> list[TopologyNode]:
    """By the middle of the neighbours that already stand (fewer crossings), then by name; what stands aside goes last."""

    def middle(node: TopologyNode) -> float:
        xs = [placed[name].x for name in graph.neighbors(node.name) if name in placed]
        return round(sum(xs) / len(xs), 3) if xs else 0.0

    return sorted(row, key=lambda node: (node.role in ASIDE, middle(node), node.name))


def _label(node: TopologyNode) -> str:
    prefix = f"{node.region}-"
    return node.name.removeprefix(prefix) if node.region else node.name
