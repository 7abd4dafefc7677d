"""`nospof bench`: the project's own figures, measured in this very run and held against what they should reach."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import msgspec

from cli.bench_lab import lab
from cli.bench_probe import probe
from cli.bench_wire import wire
from cli.figures import Row, exit_code, hog_rounds, merged, not_passed, row, rows_beside_hogs, rows_of
from cli.hogs import hogs
from cli.outcome import BadUsage, HostFailure, console, print_json
from cli.page_timing import BrowserMissing, page_timing
from cli.rows import show
from reports.evidence.reader import Evidence, read_evidence


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


def _play() -> tuple[Path, Evidence]:
    """One demo as a process of its own, as a user would start it; its report and evidence. Raises HostFailure."""
    argv = [sys.executable, "-m", "cli", "demo", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as playing:
        try:
            out, _ = playing.communicate()
        except KeyboardInterrupt:
            playing.wait()  # it was interrupted, too, and takes its lab down
            raise
    lines = out.splitlines()
    if not lines:
        raise HostFailure(f"the demo left no result (it ended with {playing.returncode})")
    result = json.loads(lines[-1])
    return Path(result["report"]), read_evidence(Path(result["evidence"]))


@click.group("bench")
def command() -> None:
    """Measure the project's own figures and hold them against their targets."""


@command.command("demo")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="How many demos in a row.")
@click.option(
    "--hogs", "busy", type=click.IntRange(0), default=0, show_default=True, help="How many of them beside CPU hogs."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def demo(rounds: int, busy: int, as_json: bool) -> int:
    """Play the whole demo and print its figures, the report's included.

    Exit code 1: a target was missed; 3: a figure was not measured.

    Ten rounds tell more than one: `--rounds 10 --hogs 3` plays three of them beside a process on every core that takes all
    it can get. There a verdict may be unknown, never a false fail; everywhere else each scenario must pass. A round takes
    about five minutes; nothing else should run meanwhile.
    """
    if busy > rounds:
        raise BadUsage(f"--hogs {busy} is more than --rounds {rounds}: at most every round can have hogs")
    quiet: list[list[Row]] = []
    beside: list[Evidence] = []
    doubts: list[str] = []
    host: object = {}
    for number, busy_now in enumerate(hog_rounds(rounds, busy), start=1):
        console.print(f"round {number} of {rounds}{', beside CPU hogs' if busy_now else ''}")
        with hogs(os.cpu_count() or 1) if busy_now else contextlib.nullcontext():
            page, evidence = _play()
        host = evidence.run.host if evidence.run else host
        doubts += [f"round {number}: {line} ({page})" for line in not_passed(evidence)]
        if busy_now:
            beside.append(evidence)
        else:
            quiet.append([*rows_of(evidence), *rows_of_page(page)])
    rows = [*merged(quiet), *rows_beside_hogs(beside)]
    for line in doubts:
        console.print(line, markup=False, soft_wrap=True)
    if as_json:
        built = [msgspec.to_builtins(r) for r in rows]
        print_json({"host": msgspec.to_builtins(host), "rounds": rounds, "not_passed": doubts, "rows": built})
    else:
        show(rows)
    return exit_code(rows)


command.add_command(lab)
command.add_command(probe)
command.add_command(wire)
