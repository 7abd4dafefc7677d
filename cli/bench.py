"""`nospof bench`: the project's own figures, measured in this very run and held against what they should reach."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.table import Table

from cli.lab import HERE, REFERENCE
from cli.outcome import HostFailure, console, print_json
from cli.page_timing import BrowserMissing, page_timing
from cli.scenarios import play
from reports.evidence.reader import Evidence, read_evidence
from reports.evidence.schema import Run, Verdict


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `peer` is null where no peer does the same, or where it is not installed; `met` where nothing was measured."""

    what: str
    ours: float | None
    unit: str
    target: float | None = None
    peer: float | None = None
    peer_name: str | None = None
    ratio: float | None = None
    met: bool | None = None


def row(what: str, ours: float | None, unit: str, target: float) -> Row:
    """A figure that must not be above its target."""
    met = None if ours is None else ours <= target
    return Row(what=what, ours=None if ours is None else round(ours, 2), unit=unit, target=target, met=met)


Figure = Callable[[Verdict], float | None]


def _black_hole(v: Verdict) -> float | None:
    return None if v.black_hole_ms.censored else v.black_hole_ms.max


OF_SCENARIOS: tuple[tuple[str, str, Figure, str, float], ...] = (
    ("kill-l7", "black hole", _black_hole, "ms", 500),
    ("kill-l7", "new connections fail for", lambda v: v.new_fail_ms, "ms", 500),
    ("crash-l7", "black hole", _black_hole, "ms", 500),
    ("crash-l7", "new connections fail for", lambda v: v.new_fail_ms, "ms", 500),
    ("drain-l7", "black hole", _black_hole, "ms", 0),
    ("drain-l7", "connections broken", lambda v: v.broken, "connections", 0),
    ("cut-link", "black hole", _black_hole, "ms", 100),
    ("cut-link-silently", "black hole", _black_hole, "ms", 300),
    ("kill-l4", "black hole", _black_hole, "ms", 300),
    ("kill-transit", "black hole", _black_hole, "ms", 500),
    ("kill-transit", "black hole elsewhere", lambda v: v.elsewhere_black_hole_ms, "ms", 0),
    ("kill-region", "black hole", _black_hole, "ms", 500),
    ("kill-region", "black hole elsewhere", lambda v: v.elsewhere_black_hole_ms, "ms", 0),
)


def rows_of(evidence: Evidence) -> list[Row]:
    """The demo's figures from its evidence alone."""
    verdicts = {s.name: s.verdict for s in evidence.scenarios if s.verdict}
    end: Run | None = evidence.end
    fewest = min((v.connections for v in verdicts.values()), default=None)
    rows = [
        row("demo, whole", end.wall_s if end else None, "s", 300),
        row("up, until every service answers everywhere", end.boot_s if end else None, "s", 12),
        Row(
            what="connections established, fewest of a scenario",
            ours=fewest,
            unit="connections",
            target=300,
            met=None if fewest is None else fewest >= 300,
        ),
        row("scenarios that failed", sum(v.verdict == "fail" for v in verdicts.values()), "scenarios", 0),
        row("scenarios without a verdict", sum(v.verdict == "unknown" for v in verdicts.values()), "scenarios", 0),
    ]
    for scenario, what, figure, unit, target in OF_SCENARIOS:
        found = verdicts.get(scenario)
        rows.append(row(f"{scenario}: {what}", None if found is None else figure(found), unit, target))
    return rows


def rows_of_page(page: Path) -> list[Row]:
    """Size and speed of the report in this host's Chromium; null where it has none."""
    size = page.stat().st_size / 1e6
    painted: float | None = None
    whole: float | None = None
    with contextlib.suppress(BrowserMissing):
        timing = page_timing(page)
        painted, whole = timing.painted_ms, timing.whole_ms
    return [
        row("report: size", size, "MB", 1),
        row("report: verdict painted", painted, "ms", 300),
        row("report: whole page", whole, "ms", 1000),
    ]


@click.group("bench")
def command() -> None:
    """Measure the project's own figures and hold them against their targets."""


@command.command("demo")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def demo(as_json: bool) -> int:
    """Play the whole demo and print its figures, the report's included. Exit code 1: a target was missed."""
    out = HERE / "reports/out" / f"bench-{time.strftime('%Y%m%d-%H%M%S')}"
    code = play(REFERENCE, None, (), (), as_json=False, out=out)
    if not (out / "report.html").exists():
        raise HostFailure(f"the demo left no report (it ended with {code})")
    evidence = read_evidence(out / "evidence.jsonl")
    rows = [*rows_of(evidence), *rows_of_page(out / "report.html")]
    host = msgspec.to_builtins(evidence.run.host) if evidence.run else {}
    if as_json:
        print_json({"host": host, "rows": [msgspec.to_builtins(r) for r in rows]})
    else:
        table = Table("figure", "measured", "target", "")
        for r in rows:
            mark = {True: "[green]✔[/green]", False: "[red]✖[/red]", None: "[yellow]◌[/yellow]"}[r.met]
            shown = "not measured" if r.ours is None else f"{r.ours:g} {r.unit}"
            table.add_row(r.what, shown, f"{r.target:g} {r.unit}", mark)
        console.print(table)
    return 1 if any(r.met is False for r in rows) else 0
