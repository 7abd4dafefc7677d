"""`nospof demo`: the main job, from nothing to a report: boot, break under traffic, judge, tell."""

from __future__ import annotations

from pathlib import Path

import click

from cli.lab import REFERENCE, runtime_option
from cli.scenarios import play


@click.command("demo")
@click.option(
    "--topology", type=click.Path(path_type=Path), default=REFERENCE, help="Another stack's containerlab file."
)
@click.option(
    "--contract", type=click.Path(path_type=Path), default=None, help="Its contract (default: the one beside it)."
)
@runtime_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output, last.")
def command(topology: Path, contract: Path | None, runtime: str, as_json: bool) -> int:
    """Boot the reference load balancer, break it under traffic, and write a failover report.

    Drains, withdraws and kills an L4 node, drains, crashes and kills an L7 node, cuts a link, kills a transit and a region,
    while every vantage probes. Exit code 0: every budget was kept; 1: one was not; 3: the measurement cannot be trusted.
    """
    return play(topology, contract, (), (), runtime=runtime, as_json=as_json)
