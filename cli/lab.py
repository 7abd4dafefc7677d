"""What the lab commands share: the default topology, and finding a lab by its topology file."""

from __future__ import annotations

from pathlib import Path

from topologies.model import Topology
from topologies.source import load_topology

HERE = Path(__file__).resolve().parents[1]
REFERENCE = HERE / "topologies/reference/reference.clab.yml"


def topology_at(path: Path) -> Topology:
    """The topology in a file. Raises BadInput naming file and line."""
    return load_topology(path)
