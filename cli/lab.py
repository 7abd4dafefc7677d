"""What the lab commands share: the default topology, and finding a lab by its topology file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click

from cli.outcome import BadUsage
from topologies.linux import cgroups
from topologies.model import Topology
from topologies.runtimes import RUNTIMES, LinuxLab, labs, open_lab
from topologies.source import load_topology

P = ParamSpec("P")
HERE = Path(__file__).resolve().parents[1]
runtime_option = click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default="oci",
    show_default=True,
    help="What runs the nodes: our own, without a daemon, or an installed containerlab with Docker.",
)
REFERENCE = HERE / "topologies/reference/reference.clab.yml"


def served_first(command: Callable[P, int]) -> Callable[P, int]:
    """Of a command that asks a lab something while it may be busy: it is not the one that waits."""

    @functools.wraps(command)
    def called(*arguments: P.args, **options: P.kwargs) -> int:
        with cgroups.served_first():
            return command(*arguments, **options)

    return called


def one_lab(name: str | None) -> LinuxLab:
    """The lab of that name, or the one that is up. Raises BadUsage where there is none or several, NoSuchLab."""
    there = labs()
    if name is None and len(there) != 1:
        raise BadUsage(f"say which lab: {', '.join(there)}" if there else "no lab is up")
    return open_lab(name or there[0])


def topology_at(path: Path) -> Topology:
    """The topology in a file. Raises BadInput naming file and line."""
    return load_topology(path, None)
