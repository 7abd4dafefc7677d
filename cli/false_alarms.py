"""Counts what the instrument calls broken where nothing is: placebo after placebo on the reference lab, judged like any scenario."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cli.figures import Row, row
from cli.hogs import hogs
from cli.lab import HERE, REFERENCE
from cli.outcome import HostFailure
from probes.episodes import flow_loss
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS
from probes.prober import Prober
from reports.evidence.schema import VerdictWord
from reports.evidence.writer import EvidenceWriter
from scenarios.bench import Bench
from scenarios.boot import Booted, boot
from scenarios.catalogue import Entry
from scenarios.faults.placebo import PLACEBO, allowing_nothing, placebo
from scenarios.instruments import Instruments
from scenarios.phases import Scenario
from topologies.runtimes import destroy

COUNTEREXAMPLE = HERE / "topologies/counterexamples/single-l4.clab.yml"
PLANTED = "kill-l4"
UNKNOWN_SHARE = 50.0
CAUGHT = ("fail", "unknown")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Window:
    """One placebo: its verdict and why, and the black holes of any flow while it lasted."""

    verdict: VerdictWord
    reason: str
    black_holes: int


def false_alarms(minutes: float, planted: int, busy: bool, say: Say) -> list[Row]:
    """Windows without a fault for so long; beside CPU hogs if `busy`, and then `planted` real faults. Raises as `boot` does."""
    windows = _windows(minutes, busy, say)
    verdicts = [_planted(say) for _ in range(planted if busy else 0)]
    return rows_of_windows(windows, minutes, busy=busy) + rows_of_planted(verdicts)


def rows_of_windows(windows: Sequence[Window], minutes: float, *, busy: bool) -> list[Row]:
    """What was called broken where nothing was. Pure."""
    beside = ", beside CPU hogs" if busy else ""
    words = [window.verdict for window in windows]
    unknown = 100 * words.count("unknown") / len(words) if words else None
    holes = sum(window.black_holes for window in windows) if windows else None
    named = f"black holes in {minutes:g} min without a fault{beside}"
    share = f"windows that were unknown{beside}"
    return [
        Row(what=f"windows without a fault{beside}", ours=len(words), unit="windows"),
        # A host that does not run whoever forwards may lose a packet: that is no alarm as long as nobody says `fail`.
        Row(what=named, ours=holes, unit="black holes") if busy else row(named, holes, "black holes", 0),
        row(f"windows that failed{beside}", words.count("fail") if words else None, "windows", 0),
        row(share, unknown, "%", UNKNOWN_SHARE) if busy else Row(what=share, ours=unknown, unit="%"),
    ]


def rows_of_planted(verdicts: Sequence[str]) -> list[Row]:
    """Real faults that were let pass. Pure."""
    if not verdicts:
        return []
    passed = sum(verdict not in CAUGHT for verdict in verdicts)
    return [
        row(f"real faults ({PLANTED}) beside CPU hogs that passed", passed, "faults", 0),
        Row(what=f"of {len(verdicts)} of them, failed", ours=verdicts.count("fail"), unit="faults"),
    ]


def _windows(minutes: float, busy: bool, say: Say) -> list[Window]:
    booted = boot(REFERENCE, say=say)
    try:
        with tempfile.TemporaryDirectory(prefix="nospof-bench-") as scratch:
            writer = EvidenceWriter(Path(scratch) / "evidence.jsonl")
            try:
                return _measured(booted, writer, minutes, busy, say)
            finally:
                writer.close()
    finally:
        booted.lab.close()
        destroy(booted.topology.name)


def _measured(booted: Booted, writer: EvidenceWriter, minutes: float, busy: bool, say: Say) -> list[Window]:
    judged = replace(booted, contract=allowing_nothing(booted.contract))
    transits = [node.name for node in booted.topology.nodes_with_role("transit")]  # every client's flows cross one
    windows: list[Window] = []
    with Instruments(judged) as instruments, hogs(os.cpu_count() or 1) if busy else contextlib.nullcontext():
        bench = Bench(judged, instruments, writer, say)
        began = time.monotonic_ns()
        end = began + int(minutes * 60e9)
        while not windows or time.monotonic_ns() < end:
            number = len(windows) + 1
            entry = Entry(f"{PLACEBO}-{number}", "No fault", "node")
            verdict = Scenario(bench, entry, lambda _: placebo(transits), lambda _: "").run().verdict
            until = time.monotonic_ns() - FORWARDING_DELAY_THRESHOLD_NS
            holes = sum(_black_holes(prober, began, until) for prober in instruments.probers.values())
            windows.append(Window(verdict.verdict, verdict.reason, holes))
            began = until
            why = "" if verdict.verdict == "pass" else f": {verdict.reason}"
            say(f"window {number}: {verdict.verdict}, {holes} black holes{why}")
    return windows


def _black_holes(prober: Prober, t0_ns: int, t1_ns: int) -> int:
    """Loss episodes of all flows. What the harness did not send is none."""
    window = prober.window(t0_ns, t1_ns)
    return sum(len(flow_loss(t.due, t.state, t.flow.interval_ns).episodes) for t in window.flows)


def _planted(say: Say) -> str:
    """The verdict on a stack that must fail, measured beside hogs: a run of its own, as a user would start it. Raises HostFailure."""
    say(f"{PLANTED} on {COUNTEREXAMPLE.name}, which must not pass, beside CPU hogs")
    argv = [sys.executable, "-m", "cli", "run", PLANTED, "--topology", str(COUNTEREXAMPLE), "--json"]
    with tempfile.TemporaryDirectory(prefix="nospof-bench-") as scratch, hogs(os.cpu_count() or 1):
        done = subprocess.run([*argv, "--out", scratch], stdout=subprocess.PIPE, text=True, check=False, cwd=HERE)
    lines = done.stdout.splitlines()
    if not lines:
        raise HostFailure(f"the run of {PLANTED} left no result (it ended with {done.returncode})")
    verdict = str(json.loads(lines[-1])["verdict"])
    say(f"{PLANTED}: {verdict}")
    return verdict
