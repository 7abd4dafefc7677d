"""`nospof report`: the page again, from the evidence of a run."""

from __future__ import annotations

from pathlib import Path

import click

from cli.lab import HERE
from cli.outcome import BadUsage, console, print_json
from reports import summary
from reports.evidence.reader import EvidenceError
from reports.page import render

NAME = "evidence.jsonl"


@click.command("report")
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def command(run: str | None, as_json: bool) -> int:
    """Render the report of RUN (a directory, its evidence.jsonl, or a run's name below reports/out; default: the newest) from
    its evidence, beside it."""
    evidence = _evidence(run)
    folder = evidence.parent
    try:
        render(evidence, folder / "report.html")
        summary.write(evidence, folder)
    except (EvidenceError, OSError) as error:
        raise BadUsage(str(error)) from error
    if as_json:
        print_json({"report": str(folder / "report.html"), "evidence": str(evidence)})
    else:
        console.print(f"report: {folder / 'report.html'}", soft_wrap=True)
    return 0


def _evidence(run: str | None) -> Path:
    out = HERE / "reports/out"
    if run is None:
        runs = sorted(p for p in out.glob("*") if (p / NAME).exists()) if out.exists() else []
        if not runs:
            raise BadUsage(f"no run in {out} yet; `./nospof demo` makes one")
        return runs[-1] / NAME
    for candidate in (Path(run), out / run):
        if candidate.is_file():
            return candidate
        if (candidate / NAME).exists():
            return candidate / NAME
    raise BadUsage(
        f"no evidence in {run}: neither a file, nor a directory with an {NAME}; nor is there a run {out / run}"
    )
