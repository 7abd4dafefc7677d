"""What demo and run share: pytest with our plugin, then the report from the evidence it left."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from rich.markup import escape

from cli.given_back import give_back
from cli.lab import HERE
from cli.outcome import BadUsage, console, explain
from reports import summary, told, words
from reports.evidence.reader import EvidenceError, read_evidence
from reports.page import render
from scenarios.asked import check_asked
from scenarios.catalogue import ENTRIES
from scenarios.unused import unused
from topologies.check import load_checked
from topologies.problems import closest
from topologies.runtimes import images_of

OURS = ("--target", "--each", "--locustfile", "--connections")
"""Options of a run that are not pytest's."""


@dataclass
class _Interrupts:
    """Whether somebody pressed Ctrl-C: pytest's own code is the same where a run ends itself."""

    hand: bool = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.hand |= excinfo.type is KeyboardInterrupt  # of which pytest's own for a broken test file is a kind


def _selection(names: tuple[str, ...]) -> list[str]:
    unknown = [f"{n}{closest(n, tuple(ENTRIES))}" for n in names if n not in ENTRIES]
    if unknown:
        raise BadUsage(f"no scenario {', '.join(unknown)}; there are {', '.join(ENTRIES)}")
    files = sorted((HERE / "scenarios").glob("test_*.py"))
    return [
        f"{f}::{e.test}" for n, e in ENTRIES.items() if n in names for f in files if f"def {e.test}(" in f.read_text()
    ]


def _own_words(extra: tuple[str, ...]) -> bool:
    """Whether somebody asks pytest itself for something, so that it should speak, too."""
    return any(word.startswith("-") and not word.startswith(OURS) for word in extra)


def targets_of(extra: tuple[str, ...]) -> list[str]:
    """Every element that `--target` names, in order. Raises BadUsage for one without a name."""
    found = []
    words = iter(extra)
    for word in words:
        if word.startswith("--target="):
            found.append(word.partition("=")[2])
        elif word == "--target":
            found.append(next(words, ""))
    if not all(found):
        raise BadUsage("--target without a name; it takes a node, a region or NODE:INTERFACE")
    return found


def play(
    topology: Path,
    contract: Path | None,
    names: tuple[str, ...],
    extra: tuple[str, ...],
    *,
    runtime: str = "oci",
    as_json: bool,
    out: Path | None = None,
) -> int:
    """Runs the scenarios and writes their report. Returns the exit code of the verdict.

    Raises BadInput before anything is deployed.
    """
    if out and (out / "evidence.jsonl").exists():
        raise BadUsage(f"{out} holds the evidence of a run already; name a directory that does not")
    selected = _selection(names)
    described, promised = load_checked(topology, contract, images=images_of(runtime))
    check_asked(described, promised, names, targets_of(extra), "--each" in extra)
    out = out or unused(HERE / "reports/out" / datetime.now(UTC).strftime("%Y%m%d-%H%M%S"))
    arguments = [
        *(selected or [str(HERE / "scenarios")]),
        f"--rootdir={HERE}",
        "-p",
        "no:cacheprovider",
        "--capture=sys",
        *(["-q", "--no-header", "--tb=no", "--show-capture=no"] if _own_words(extra) else ["-p", "no:terminal"]),
        "-o",
        "addopts=",
        f"--topology={topology}",
        f"--runtime={runtime}",
        f"--out={out}",
        *extra,
    ]
    if contract:
        arguments.append(f"--contract={contract}")
    # pytest's own words go to the error stream, so that the output stays JSON
    by = _Interrupts()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        code = int(pytest.main(arguments, plugins=[by]))
    if code == pytest.ExitCode.INTERRUPTED and not by.hand and not (out / "evidence.jsonl").exists():
        return 2  # bad input, of which the plugin has said why
    if code == pytest.ExitCode.INTERRUPTED:
        explain("interrupted; the lab has been taken down")
        return 130
    if code not in (0, 1, 3):
        return 2
    if not (out / "evidence.jsonl").exists():
        return code
    try:
        return _tell(out, as_json=as_json, code=code)
    except (OSError, EvidenceError) as error:
        explain(f"there is no report: {error}")
        return code or 3


def _tell(out: Path, *, as_json: bool, code: int) -> int:
    evidence_path, page = out / "evidence.jsonl", out / "report.html"
    render(evidence_path, page)
    summary.write(evidence_path, out)
    give_back(out)
    evidence = read_evidence(evidence_path)
    result = summary.demo_result(evidence, report=page)
    end = evidence.end
    for scenario in evidence.scenarios:
        if scenario.verdict:
            v = scenario.verdict
            mark = {
                "pass": "[green]✔ PASS[/green]",
                "fail": "[red]✖ FAIL[/red]",
                "unknown": "[yellow]◌ UNKNOWN[/yellow]",
            }[v.verdict]
            console.print(f"{mark} {v.scenario}: {v.headline}", soft_wrap=True)
            if v.verdict != "pass":
                console.print(f"   {v.reason}", soft_wrap=True)
    if end:
        lab, own = end.cpu.lab_cores, end.cpu.instrument_cores
        console.print(
            f"booted in {end.boot_s} s, {end.wall_s} s in all; the lab used {lab} cores, the instrument {own}"
        )
    console.print(f"report: {page}", soft_wrap=True)
    colour = {"pass": "green", "fail": "red", "unknown": "yellow"}[evidence.verdict]
    console.print(
        f"[{colour}]{words.spoken(evidence.verdict)}[/{colour}]: {escape(told.headline(evidence))}", soft_wrap=True
    )
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return code
