"""What is right for each stack of a stranger's, by the command that it was given: exit code, verdict, and what is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.runs import nospof, run_in_peace
from tests.strangers.stacks import Case, cases, staged

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
SHORT = {"up"}
"""Commands that are over in seconds; so is whatever is refused. The others have their turn."""


def _marked(case: Case) -> Any:
    short = case.run in SHORT or case.exit == 2
    return pytest.param(case, id=str(case), marks=() if short else pytest.mark.long)


def played(case: Case, directory: Path) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, what came of each scenario, and everything that was said."""
    lab = f"str{os.getpid()}"
    topology = staged(case.case, directory, lab)
    command, *words = case.run.split()
    if command == "up":
        try:
            done = nospof("up", topology)
        finally:
            nospof("down", lab)
        return done.returncode, [], done.stdout + done.stderr
    ran = run_in_peace(topology, directory, *words, timeout_s=900)
    assert not Path(f"/run/nospof/labs/{lab}").exists(), "nothing is left"
    return ran.code, ran.scenarios, " ".join([*ran.said, *(s["reason"] for s in ran.scenarios)])


@pytest.mark.parametrize("case", [_marked(case) for case in cases()])
def test_a_strangers_stack_is_told_what_is_right(case: Case, tmp_path: Path) -> None:
    code, scenarios, said = played(case, tmp_path)
    if case.exit is not None:
        assert code == case.exit, said
    words = {s["verdict"] for s in scenarios}
    if words:
        assert code == (1 if "fail" in words else 3 if "unknown" in words else 0), said
    judged = [s["verdict"] for s in scenarios if s["name"] != "steady"]
    if case.verdict == "judged":
        assert judged, said
        assert set(judged) <= {"pass", "fail"}, said
    elif case.verdict is not None:
        assert case.verdict in judged, said
    for word in case.words:
        assert word in said, said
    for word in case.never:
        assert word not in said, said
