"""What is broken on purpose fails, with the right element and a true sentence; the same scenarios pass where nothing is broken."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from reports.evidence.again import first as own_name
from tests.scenarios.broken_reference import variant
from tests.scenarios.runs import run_in_peace

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
# variant, what is played at what, and what the sentence has to say of it
FOOLED = [
    ("never-withdraws", "withdraw-l4", "eu-l4-1", r"did nothing"),
    ("never-withdraws", "drain-l4", "eu-l4-1", r"did nothing"),
    ("closes-listeners", "drain-l7", "eu-l7-1", r"new_fail|request_fail|broken"),
    ("always-well", "freeze-l7", "eu-l7-1", r"request_fail was"),
    ("never-announces-again", "withdraw-l4", "eu-l4-1", r"return"),
    ("edge-without-bfd", "kill-node", "eu-edge-1", r"black_hole was"),
    ("other-seeds", "withdraw-l4", "eu-l4-1", r"broken was"),
]


def played(directory: Path, name: str, *words: str) -> dict[str, dict[str, Any]]:
    """By scenario: what came of it on that variant."""
    ran = run_in_peace(variant(name, directory, f"fool{os.getpid()}"), directory, *words)
    verdicts = {s["verdict"] for s in ran.scenarios}
    assert ran.code == (1 if "fail" in verdicts else 3 if "unknown" in verdicts else 0), ran.said
    return {own_name(s["name"]): s for s in ran.scenarios}


SHORT = {("never-withdraws", "withdraw-l4"), ("always-well", "freeze-l7")}
"""One whose action does nothing and one that is frozen are played each time; the others have their turn."""


def _marked(row: tuple[str, str, str, str]) -> Any:
    return pytest.param(*row, id=f"{row[0]}:{row[1]}", marks=() if row[:2] in SHORT else pytest.mark.long)


@pytest.mark.parametrize(("name", "scenario", "target", "says"), [_marked(row) for row in FOOLED])
def test_what_is_broken_fails_and_is_named(name: str, scenario: str, target: str, says: str, tmp_path: Path) -> None:
    found = played(tmp_path, name, scenario, "--target", target)[scenario]
    assert (found["verdict"], found["target"]) == ("fail", target), found["reason"]
    assert target in found["reason"]
    assert re.search(says, found["reason"]), found["reason"]


@pytest.mark.long
def test_what_is_sound_passes_the_same(tmp_path: Path) -> None:
    scenarios = sorted({scenario for _, scenario, *_ in FOOLED} - {"kill-node"})
    found = played(tmp_path, "sound", *scenarios)
    assert found.keys() == {"steady", *scenarios}
    assert {s["verdict"] for s in found.values()} == {"pass"}, [s["reason"] for s in found.values()]
