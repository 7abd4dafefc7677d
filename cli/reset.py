"""`nospof reset`: every fault on a running lab taken back."""

from __future__ import annotations

import time

import click

from cli.outcome import BadUsage, console, print_json
from topologies.runtimes import labs, open_lab


@click.command("reset")
@click.argument("lab", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def command(lab: str | None, as_json: bool) -> int:
    """Heal LAB (default: the one that is up): mend its links, let go on what is stopped, start anew what is dead."""
    names = labs()
    if lab is None and len(names) != 1:
        raise BadUsage(f"say which lab: {', '.join(names)}" if names else "no lab is up")
    opened = open_lab(lab or names[0])
    began = time.monotonic()
    try:
        said = opened.reset()
    finally:
        opened.close()
    seconds = time.monotonic() - began
    if as_json:
        print_json({"lab": opened.topology.name, "healed": said, "seconds": round(seconds, 3)})
    else:
        for sentence in said:
            console.print(sentence, markup=False, soft_wrap=True)
        console.print(f"lab {opened.topology.name} is {'reset' if said else 'as it should be'} ({seconds:.2f} s)")
    return 0
