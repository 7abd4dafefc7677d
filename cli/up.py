"""`nospof up`: a lab from a topology file, until its services answer from every vantage."""

from __future__ import annotations

from pathlib import Path

import click

from cli.lab import REFERENCE
from cli.outcome import console, print_json, stamp
from scenarios.boot import boot


@click.command("up")
@click.argument("topology", type=click.Path(path_type=Path), default=REFERENCE, required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def command(topology: Path, as_json: bool) -> int:
    """Boot TOPOLOGY (default: the reference) and wait until every service answers from every vantage."""
    say = stamp()
    booted = boot(topology, say=say)
    booted.lab.close()
    count = len(booted.topology.nodes)
    if as_json:
        print_json(
            {
                "lab": booted.topology.name,
                "nodes": count,
                "runtime_s": round(booted.runtime_s, 3),
                "boot_s": round(booted.seconds, 3),
            }
        )
    else:
        console.print(
            f"lab {booted.topology.name} is up: {count} nodes in {booted.runtime_s:.2f} s ({count / booted.runtime_s:.0f} nodes/s), "
            f"every service answers from every vantage after {booted.seconds:.1f} s"
        )
    return 0
