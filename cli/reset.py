"""`nospof reset`: every fault on a running lab taken back, and the lab shown to be as it should be."""

from __future__ import annotations

import time

import click

from cli.lab import one_lab, served_first
from cli.outcome import console, print_json
from scenarios.steady import Steady, wait_for_steady_state
from scenarios.waiting import DeadlineMissed
from topologies.contract import contract_path_for, load_contract
from topologies.runtime import RuntimeFailure
from topologies.runtimes import LinuxLab

STEADY_S = 60.0


@click.command("reset")
@click.argument("lab", required=False)
@click.option("--no-wait", is_flag=True, help="Do not wait until routes have settled and every service answers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
@served_first
def command(lab: str | None, no_wait: bool, as_json: bool) -> int:
    """Heal LAB (default: the one that is up): mend its links, let go on what is stopped, start anew what is dead.

    It returns when the routes have settled and, where the topology has a contract beside it, every service answers from every
    vantage.
    """
    opened = one_lab(lab)
    began = time.monotonic()
    try:
        said = opened.reset()
        healed = time.monotonic() - began
        steady = None if no_wait else _steady(opened)
        opened.level()
    finally:
        opened.close()
    seconds = time.monotonic() - began
    if as_json:
        beyond = None if steady is None else round(steady.beyond_routes, 3)
        figures = {"seconds": round(seconds, 3), "heal_s": round(healed, 3), "beyond_last_route_s": beyond}
        print_json({"lab": opened.topology.name, "healed": said, **figures})
        return 0
    for sentence in said:
        console.print(sentence, markup=False, soft_wrap=True)
    waited = f", {steady.beyond_routes:.2f} s of it after the last route moved" if steady else ""
    console.print(f"lab {opened.topology.name} is {'reset' if said else 'as it should be'} ({seconds:.2f} s{waited})")
    return 0


def _steady(lab: LinuxLab) -> Steady:
    path = contract_path_for(lab.topology.path)
    contract = load_contract(path, lab.topology) if path.exists() else None
    try:
        return wait_for_steady_state(lab, contract, deadline_s=STEADY_S)
    except DeadlineMissed as late:
        raise RuntimeFailure(str(late)) from late
