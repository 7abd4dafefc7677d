"""What is right for each stack of a stranger's, by the command that it was given: exit code, verdict, and what is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.busy import ATTEMPTS, too_busy
from tests.strangers.stacks import Case, cases, staged

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
ROOT = Path(__file__).resolve().parents[2]
SHORT = {"up"}
"""Commands that are over in seconds; so is whatever is refused. The others have their turn."""


def _marked(case: Case) -> Any:
    short = case.run in SHORT or case.exit == 2
    return pytest.param(case, id=str(case), marks=() if short else pytest.mark.long)


def nospof(*words: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def played(case: Case, directory: Path) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, what came of each scenario, and everything that was said: of the first run that the host's load alone does not leave
    unknown."""
    lab = f"str{os.getpid()}"
    topology = staged(case.case, directory, lab)
    command, *words = case.run.split()
    if command == "up":
        try:
            code, out, said = nospof("up", topology)
        finally:
            nospof("down", lab)
        return code, [], out + said
    for number in range(ATTEMPTS):
        to = directory / f"out{number}"
        code, out, said = nospof(command, *words, "--topology", topology, "--json", "--out", to)
        if not out.strip():
            return code, [], said
        scenarios = json.loads(out.splitlines()[-1])["scenarios"]
        doubted = [s for s in scenarios if s["verdict"] == "unknown" and s["name"] != "steady"]
        if not doubted or not all(too_busy(to / "evidence.jsonl", s["name"]) for s in doubted):
            break
    assert not Path(f"/run/nospof/labs/{lab}").exists(), "nothing is left"
    return code, scenarios, " ".join([said, *(s["reason"] for s in scenarios)])


@pytest.mark.parametrize("case", [_marked(case) for case in cases()])
def test_a_strangers_stack_is_told_what_is_right(case: Case, tmp_path: Path) -> None:
    code, scenarios, said = played(case, tmp_path)
    if case.exit is not None:
        assert code == case.exit, said
    judged = {s["name"]: s["verdict"] for s in scenarios if s["name"] != "steady"}
    if case.verdict == "judged":
        assert judged, said
        assert set(judged.values()) <= {"pass", "fail"}, said
    elif case.verdict is not None:
        assert case.verdict in judged.values(), said
    for word in case.words:
        assert word in said, said
    for word in case.never:
        assert word not in said, said
