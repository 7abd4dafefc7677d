"""`nospof inspect`: what is up, in the shape of `containerlab inspect --format json`."""

from __future__ import annotations

import getpass

import click
from rich.table import Table

from cli.outcome import console, print_json
from topologies.model import Topology
from topologies.runtime import NoSuchLab
from topologies.runtimes import LinuxLab, labs, open_lab


def _row(topology: Topology, lab: LinuxLab, name: str) -> dict[str, object]:
    node = topology.nodes[name]
    pid, addresses = lab.init_pid(name), lab.mgmt_addresses(name)
    return {
        "lab_name": topology.name,
        "labPath": str(topology.path),
        "absLabPath": str(topology.path.resolve()),
        "name": topology.container_name(name),
        "container_id": f"{topology.name}/{name}",
        "image": node.image,
        "kind": node.kind,
        "group": node.group or "",
        "state": "running" if pid else "exited",
        "status": f"pid {pid}" if pid else "killed",
        "ipv4_address": addresses.get(4, "N/A"),
        "ipv6_address": addresses.get(6, "N/A"),
        "ports": [],
        "owner": getpass.getuser(),
    }


@click.command("inspect")
@click.argument("lab", required=False)
@click.option("--json", "as_json", is_flag=True, help="The shape of `containerlab inspect --format json`.")
def command(lab: str | None, as_json: bool) -> int:
    """Show the nodes of LAB (a lab's name; default: every lab that is up)."""
    found: dict[str, list[dict[str, object]]] = {}
    for name in [lab] if lab else labs():
        try:
            opened = open_lab(name)
        except NoSuchLab:
            if lab:
                raise
            found[name] = []
            continue
        found[name] = [_row(opened.topology, opened, node) for node in opened.topology.nodes]
        opened.close()
    if as_json:
        print_json(found)
        return 0
    if not found:
        console.print("no lab is up")
    for name, rows in found.items():
        table = Table(
            "node",
            "image",
            "state",
            "status",
            title=f"lab {name}" + ("" if rows else " (half made; `nospof down --all` cleans it)"),
        )
        for row in rows:
            table.add_row(
                str(row["container_id"]).partition("/")[2], str(row["image"]), str(row["state"]), str(row["status"])
            )
        console.print(table)
    return 0
