"""Figures as a table: ours, the worst round, what it should reach, and the peer's where there is one."""

from __future__ import annotations

from rich.table import Table

from cli.figures import Row
from cli.outcome import console


def show(rows: list[Row]) -> None:
    """On the terminal."""
    peers = any(r.peer_name for r in rows)
    table = Table("figure", "median", "worst", "target", "", *(["peer", "ratio"] if peers else []))
    for r in rows:
        mark = {True: "[green]✔[/green]", False: "[red]✖[/red]", None: "[yellow]◌[/yellow]"}[r.met]
        wanted = "" if r.target is None else f"{'≥' if r.at_least else '≤'} {r.target:g} {r.unit}"
        shown = "not measured" if r.ours is None else f"{r.ours:g} {r.unit}"
        worst = "" if r.worst is None else f"{r.worst:g}"
        beside = [] if r.peer is None else [f"{r.peer:g} {r.unit} ({r.peer_name})", f"{r.ratio:g}"]
        table.add_row(r.what, shown, worst, wanted, mark if wanted else "", *(beside or ["", ""] if peers else []))
    console.print(table)
