"""`nospof events`: what happens in a running lab, as it happens."""

from __future__ import annotations

import json
import sys

import click

from cli.lab import one_lab
from topologies.linux.events import LabEvent, LabEvents
from topologies.model import Topology


@click.command("events")
@click.argument("lab", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object per line, as of `containerlab events --format json`."
)
def command(lab: str | None, as_json: bool) -> int:
    """Follow LAB (default: the one that is up) until Ctrl-C: nodes that end and start, interfaces that come, go and change."""
    opened = one_lab(lab)
    try:
        with LabEvents(opened) as events:
            for event in events:
                told = json.dumps(_as_json(event, opened.topology)) if as_json else _line(event)
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        opened.close()
    return 0


def _as_json(event: LabEvent, topology: Topology) -> dict[str, object]:
    """The keys of containerlab's own event stream, and `t_ns`, the host's CLOCK_MONOTONIC."""
    name = topology.container_name(event.node)
    return {
        "timestamp": event.timestamp,
        "type": event.type,
        "action": event.action,
        "actor_id": f"{topology.name}/{event.node}",
        "actor_name": name,
        "actor_full_id": f"{topology.name}/{event.node}",
        "attributes": {"lab": topology.name, "name": name, **event.attributes},
        "t_ns": event.t_ns,
    }


def _line(event: LabEvent) -> str:
    about = event.attributes
    what = f"{event.node}:{about['ifname']}" if event.type == "interface" else event.node
    more = f" ({about['set']}, carrier {about['state']}, MTU {about['mtu']})" if event.type == "interface" else ""
    return f"{event.timestamp}  {event.type} {event.action}  {what}{more}"
