"""The whole way, as a user goes it: a command, a lab, scenarios, a verdict, an exit code, a report and the sentence last."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.runs import run_in_peace
from tests.scenarios.stack import write_stack

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


def played(directory: Path, *words: str) -> tuple[int, dict[str, Any], list[str]]:
    """Exit code, the JSON object printed last, and the lines that were said, of a run of the small stack."""
    lab = f"way{os.getpid()}"
    ran = run_in_peace(write_stack(directory, lab), directory, *words)
    assert ran.result is not None, ran.said
    assert not Path(f"/run/nospof/labs/{lab}").exists(), "nothing is left"
    for name in ("report.html", "summary.md", "junit.xml"):
        assert (ran.out / name).stat().st_size, name
    return ran.code, ran.result, ran.said


def test_what_keeps_its_promises_ends_with_0_and_says_so_last(tmp_path: Path) -> None:
    code, result, said = played(tmp_path, "withdraw-l4", "--target", "way1")
    assert code == 0, said
    (withdrawn,) = result["scenarios"]
    assert (withdrawn["name"], withdrawn["target"], withdrawn["verdict"]) == ("withdraw-l4", "way1", "pass")
    assert withdrawn["touched"] >= 10
    assert result["verdict"] == "pass"
    assert said[-1] == "✔ PASS: The only scenario passed: no client lost more than its budget allows."


def test_a_single_point_of_failure_ends_with_1_and_is_named(tmp_path: Path) -> None:
    code, result, said = played(tmp_path, "kill-l4", "--target", "way1")
    assert code == 1, said
    (killed,) = result["scenarios"]
    assert killed["verdict"] == result["verdict"] == "fail"
    assert killed["reason"].startswith("L4 node way1 broke the budget `kill-node`: ")
    assert re.search(r"black_hole was ≥ [\d,]+ ms, limit 300 ms \(udp 10\.0\.0\.1 port \d+ →", killed["reason"])
    assert killed["black_hole_ms"]["censored"] > 0, "its routes are static: nobody turns away from it"
    assert said[-1].startswith("✖ FAIL: 0 of 1 scenarios passed; 1 failed (kill-l4: ")
