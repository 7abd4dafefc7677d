"""`nospof exec`: one command in one node, with its exit code."""

from __future__ import annotations

import subprocess

import click

from cli.lab import served_first
from cli.outcome import BadUsage, print_json
from topologies.runtimes import LinuxLab, labs, open_lab


def find_node(lab: str | None, node: str) -> LinuxLab:
    """The lab that has the node. Raises BadUsage where none has, or several have."""
    names = [lab] if lab else labs()
    holders = []
    for name in names:
        opened = open_lab(name)
        if node in opened.topology.nodes:
            holders.append(opened)
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise BadUsage(
            f"node {node} is in {len(holders)} labs; say which with --lab {' or '.join(h.topology.name for h in holders)}"
        )
    raise BadUsage(
        f"no lab that is up has a node {node!r}" + (f"; labs: {', '.join(names)}" if names else "; no lab is up")
    )


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("node")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--lab", help="The lab's name, where several are up.")
@click.option("--json", "as_json", is_flag=True, help="Exit code, output and error as one JSON object.")
@served_first
def command(node: str, argv: tuple[str, ...], lab: str | None, as_json: bool) -> int:
    """Run ARGV in NODE: `nospof exec eu-l4-1 -- l4ctl status`."""
    opened = find_node(lab, node)
    if as_json:
        done = opened.exec(node, argv, timeout_s=60)
        print_json({"node": node, "return-code": done.code, "stdout": done.out, "stderr": done.err})
        return done.code
    return subprocess.run(opened.exec_argv(node, argv), check=False).returncode
