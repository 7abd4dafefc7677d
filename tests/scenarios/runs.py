"""Runs a command on a stack as a user would, until a run is not left unknown by the host's load alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scenarios.busy import ATTEMPTS, too_busy

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ran:
    """Exit code, the JSON object printed last (None for none), the lines that were said, and where its report lies."""

    code: int
    result: dict[str, Any] | None
    said: list[str]
    out: Path

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        return [] if self.result is None else self.result["scenarios"]


def nospof(*words: str | Path, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


def run_in_peace(topology: Path, directory: Path, *words: str, timeout_s: float = 400) -> Ran:
    """`nospof run` with these words on that stack, its outputs below `directory`."""
    for number in range(ATTEMPTS):
        out = directory / f"out{number}"
        done = nospof("run", *words, "--topology", topology, "--json", "--out", out, timeout_s=timeout_s)
        result = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None
        ran = Ran(done.returncode, result, done.stderr.splitlines(), out)
        doubted = [s["name"] for s in ran.scenarios if s["verdict"] == "unknown"]
        if not doubted or not all(too_busy(out / "evidence.jsonl", name) for name in doubted):
            break
    return ran
