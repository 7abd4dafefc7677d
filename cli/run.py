"""`nospof run`: chosen scenarios on a topology, through pytest."""

from __future__ import annotations

from pathlib import Path

import click

from cli.lab import REFERENCE, runtime_option
from cli.scenarios import play


@click.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--topology", type=click.Path(path_type=Path), default=REFERENCE, help="The stack's containerlab file.")
@click.option(
    "--contract", type=click.Path(path_type=Path), default=None, help="Its contract (default: the one beside it)."
)
@runtime_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Where evidence and report go (default: reports/out/TIME).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output, last.")
def command(
    arguments: tuple[str, ...], topology: Path, contract: Path | None, runtime: str, out: Path | None, as_json: bool
) -> int:
    """Run scenarios by name (`kill-l4 kill-region`; default: all but kill-node, crash-process and freeze-process, which take a
    node of any role and are played only by name). What begins with a dash goes to pytest.

    `--target NODE|REGION|NODE:INTERFACE` breaks that element instead of the default one, and may be given more than once: each is a
    trial of its own. Of a node whose process is broken it is the first that the contract lists for its role; `cut-link --target
    NODE` cuts the first of its links that carries traffic. `--each` breaks, one after another, every element that the scenario can
    be aimed at. What does not fit is refused before anything is deployed.

    `--connections N` holds N long-lived connections from each vantage instead of 100; `--per-hop` stamps some probes at every link,
    for where the microseconds go (it costs CPU, and says how much); `--locustfile FILE` takes your own Locust users instead of ours.
    """
    first = next((n for n, a in enumerate(arguments) if a.startswith("-")), len(arguments))
    names, extra = arguments[:first], arguments[first:]
    return play(topology, contract, names, extra, runtime=runtime, as_json=as_json, out=out)
