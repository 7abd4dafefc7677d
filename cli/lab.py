"""What the lab commands share: the default topology, and finding a lab by its topology file."""

from __future__ import annotations

from pathlib import Path

import click

from topologies.model import Topology
from topologies.runtimes import RUNTIMES
from topologies.source import load_topology

HERE = Path(__file__).resolve().parents[1]
runtime_option = click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default="oci",
    show_default=True,
    help="What runs the nodes: our own, without a daemon, or an installed containerlab with Docker.",
)
REFERENCE = HERE / "topologies/reference/reference.clab.yml"


def topology_at(path: Path) -> Topology:
    """The topology in a file. Raises BadInput naming file and line."""
    return load_topology(path, None)
