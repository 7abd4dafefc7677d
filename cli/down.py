"""`nospof down`: takes labs off the host, also those whose harness was killed."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cli.lab import REFERENCE, served_first, topology_at
from cli.outcome import BadUsage, console, print_json
from topologies.runtimes import destroy, labs


@click.command("down")
@click.argument("topology", required=False)
@click.option("--all", "everything", is_flag=True, help="Every lab on this host, whole or half made.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
@served_first
def command(topology: str | None, everything: bool, as_json: bool) -> int:
    """Take down the lab of TOPOLOGY (a file or a lab's name; default: the reference)."""
    if everything and topology:
        raise BadUsage("give a topology or --all, not both")
    began = time.monotonic()
    names = labs() if everything else [_name(topology)]
    for name in names:
        destroy(name)
    seconds = time.monotonic() - began
    if as_json:
        print_json({"down": names, "seconds": round(seconds, 3)})
    else:
        console.print(f"down: {', '.join(names)} ({seconds:.1f} s)" if names else "no lab is up")
    return 0


def _name(topology: str | None) -> str:
    if topology is None:
        return topology_at(REFERENCE).name
    if topology in labs():
        return topology
    return topology_at(Path(topology)).name
