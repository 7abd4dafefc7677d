"""`nospof up`: a lab from a topology file, until its services answer from every vantage, or it is known which do not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from cli.lab import REFERENCE, runtime_option, served_first
from cli.outcome import console, explain, print_json, stamp
from scenarios.beforehand import beforehand
from scenarios.boot import Alone, Booted, boot, boot_alone, take_down
from topologies.contract import contract_path_for


@click.command("up")
@click.argument("topology", type=click.Path(path_type=Path), default=REFERENCE, required=False)
@runtime_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
@served_first
def command(topology: Path, runtime: str, as_json: bool) -> int:
    """Boot TOPOLOGY (default: the reference) and wait until every service answers from every vantage.

    The services are those of the contract beside it, X.contract.yml beside X.clab.yml; what `run` would judge of each of them, and
    what not, is told. Exit code 3 where one answers nobody; the lab stays up for a look at it. Without a contract, any containerlab
    file will do: the lab is up when its exec lines have been run and its routes have settled.
    """
    say = stamp()
    booted: Booted | Alone
    with ExitStack() as stack:
        unserved: Mapping[str, str] = {}
        services: Mapping[str, object] = {}
        if contract_path_for(topology).exists():
            booted = boot(topology, runtime=runtime, say=say)
            stack.callback(take_down, booted.lab)
            unserved = booted.answering.unserved(booted.contract)
            ready, services = ready_words(booted, unserved), services_json(booted)
        else:
            booted = boot_alone(topology, runtime=runtime, say=say)
            stack.callback(take_down, booted.lab)
            ready = f"its routes are settled after {booted.seconds:.1f} s"
        _tell(booted, runtime, ready, services, as_json=as_json)
        if unserved:
            told = "; ".join(f"{name} does not answer: {why}" for name, why in unserved.items())
            explain(f"{told}. The lab stays up; `nospof down {booted.topology.name}` takes it down")
        stack.pop_all()
    booted.lab.close()
    return 3 if unserved else 0


def _tell(booted: Booted | Alone, runtime: str, ready: str, services: Mapping[str, object], *, as_json: bool) -> None:
    """Says that it is up; a lab of which nobody was told that it is up is one that is left behind. Raises OSError."""
    count = len(booted.topology.nodes)
    if as_json:
        figures = {"nodes": count, "runtime_s": round(booted.runtime_s, 3), "boot_s": round(booted.seconds, 3)}
        print_json({"lab": booted.topology.name, "runtime": runtime, **figures, **services})
    else:
        console.print(
            f"lab {booted.topology.name} is up: {count} nodes in {booted.runtime_s:.2f} s ({count / booted.runtime_s:.0f} nodes/s), "
            f"{ready}",
            soft_wrap=True,
        )


def ready_words(booted: Booted, unserved: Mapping[str, str]) -> str:
    """How far the services of a lab are, in words that hold. `unserved`: those that answer nobody."""
    after = f"after {booted.seconds:.1f} s"
    if unserved:
        return f"but {', '.join(unserved)} answers nobody {after}"
    if booted.unreached:
        return f"but {len(booted.unreached)} of its services' addresses do not answer some vantage {after}"
    return f"every service answers {'where it is asked' if booted.not_asked else 'from every vantage'} {after}"


def services_json(booted: Booted) -> dict[str, object]:
    """What `run` would judge of each service, and where it does not answer."""
    told = [asdict(one) for one in beforehand(booted.contract, booted.answering)]
    silent = [
        {"vantage": vantage, "service": service, "vip": vip, "why": why}
        for (vantage, service, vip), why in booted.unreached.items()
    ]
    return {"services": told, "unanswered": silent}
