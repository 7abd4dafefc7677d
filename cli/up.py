"""`nospof up`: a lab from a topology file, until its services answer from every vantage."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from cli.lab import REFERENCE, runtime_option, served_first
from cli.outcome import console, print_json, stamp
from scenarios.boot import Alone, Booted, boot, boot_alone, take_down
from topologies.contract import contract_path_for


@click.command("up")
@click.argument("topology", type=click.Path(path_type=Path), default=REFERENCE, required=False)
@runtime_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
@served_first
def command(topology: Path, runtime: str, as_json: bool) -> int:
    """Boot TOPOLOGY (default: the reference) and wait until every service answers from every vantage.

    The services are those of the contract beside it, X.contract.yml beside X.clab.yml. Without one, any containerlab file will
    do: the lab is up when its exec lines have been run and its routes have settled.
    """
    say = stamp()
    booted: Booted | Alone
    with ExitStack() as stack:
        if contract_path_for(topology).exists():
            booted = boot(topology, runtime=runtime, say=say)
            ready = "every service answers from every vantage"
        else:
            booted = boot_alone(topology, runtime=runtime, say=say)
            ready = "its routes are settled"
        stack.callback(take_down, booted.lab)
        _tell(booted, runtime, ready, as_json=as_json)
        stack.pop_all()
    booted.lab.close()
    return 0


def _tell(booted: Booted | Alone, runtime: str, ready: str, *, as_json: bool) -> None:
    """Says that it is up; a lab of which nobody was told that it is up is one that is left behind. Raises OSError."""
    count = len(booted.topology.nodes)
    if as_json:
        print_json(
            {
                "lab": booted.topology.name,
                "runtime": runtime,
                "nodes": count,
                "runtime_s": round(booted.runtime_s, 3),
                "boot_s": round(booted.seconds, 3),
            }
        )
    else:
        console.print(
            f"lab {booted.topology.name} is up: {count} nodes in {booted.runtime_s:.2f} s ({count / booted.runtime_s:.0f} nodes/s), "
            f"{ready} after {booted.seconds:.1f} s"
        )
