"""`nospof events`: what happens in a running lab, as it happens."""

from __future__ import annotations

import sys

import click
import msgspec

from cli.outcome import BadUsage
from topologies.linux.events import LabEvent, LabEvents
from topologies.runtimes import labs, open_lab


@click.command("events")
@click.argument("lab", required=False)
@click.option("--json", "as_json", is_flag=True, help="A JSON object per line.")
def command(lab: str | None, as_json: bool) -> int:
    """Follow LAB (default: the one that is up) until Ctrl-C: nodes that end and start, interfaces that come, go and change."""
    names = labs()
    if lab is None and len(names) != 1:
        raise BadUsage(f"say which lab: {', '.join(names)}" if names else "no lab is up")
    opened = open_lab(lab or names[0])
    try:
        with LabEvents(opened) as events:
            for event in events:
                sys.stdout.write((msgspec.json.encode(event).decode() if as_json else _line(event)) + "\n")
                sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        opened.close()
    return 0


def _line(event: LabEvent) -> str:
    about = event.attributes
    what = f"{event.node}:{about['ifname']}" if event.type == "interface" else event.node
    more = f" ({about['set']}, carrier {about['state']}, MTU {about['mtu']})" if event.type == "interface" else ""
    return f"{event.timestamp}  {event.type} {event.action}  {what}{more}"
