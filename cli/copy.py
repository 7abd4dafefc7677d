"""`nospof copy`: a file into a node, or out of one."""

from __future__ import annotations

from pathlib import Path

import click

from cli.exec_ import find_node
from cli.outcome import BadUsage, console


def _split(text: str) -> tuple[str | None, str]:
    """(node, path) of `NODE:PATH`, (None, path) of one of the host's."""
    node, colon, path = text.partition(":")
    return (node, path) if colon and "/" not in node else (None, text)


@click.command("copy")
@click.argument("source")
@click.argument("target")
@click.option("--lab", help="The lab's name, where several are up.")
def command(source: str, target: str, lab: str | None) -> int:
    """Copy a file: `nospof copy frr.conf eu-edge-1:/etc/frr/frr.conf`, or the other way round. Its mode comes along into a node."""
    (here, what), (there, where) = _split(source), _split(target)
    if (here is None) == (there is None):
        raise BadUsage(f"{source} and {target}: expected exactly one of the two to be NODE:PATH")
    opened = find_node(lab, here or there or "")
    try:
        if there is not None:
            if not Path(what).is_file():
                raise BadUsage(f"found no file {what}")
            opened.copy_in(there, Path(what), where)
        elif here is not None:
            path = Path(where) / Path(what).name if Path(where).is_dir() else Path(where)
            opened.copy_out(here, what, path)
    finally:
        opened.close()
    console.print(f"{source} → {target}", markup=False, soft_wrap=True)
    return 0
