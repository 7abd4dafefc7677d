"""The whole way, as a user goes it: a command, a lab, scenarios, a verdict, an exit code, a report and the sentence last."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.busy import ATTEMPTS, too_busy
from tests.scenarios.stack import write_stack

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
ROOT = Path(__file__).resolve().parents[2]


def run(topology: Path, out: Path, *words: str) -> tuple[int, dict[str, Any], list[str]]:
    """Exit code, the JSON object printed last, and the lines that were said."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", *words, "--topology", topology, "--json", "--out", out],
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr.splitlines()


def run_in_peace(directory: Path, *words: str) -> tuple[int, dict[str, Any], list[str]]:
    """The first run of the small stack that is not left unknown by the host's load alone."""
    lab = f"way{os.getpid()}"
    topology = write_stack(directory, lab)
    for number in range(ATTEMPTS):
        out = directory / f"out{number}"
        found = run(topology, out, *words)
        doubted = [s["name"] for s in found[1]["scenarios"] if s["verdict"] == "unknown"]
        if not doubted or not all(too_busy(out / "evidence.jsonl", name) for name in doubted):
            break
    assert not Path(f"/run/nospof/labs/{lab}").exists(), "nothing is left"
    for name in ("report.html", "summary.md", "junit.xml"):
        assert (out / name).stat().st_size, name
    return found


def test_what_keeps_its_promises_ends_with_0_and_says_so_last(tmp_path: Path) -> None:
    code, result, said = run_in_peace(tmp_path, "withdraw-l4", "--target", "way1")
    assert code == 0, said
    (withdrawn,) = result["scenarios"]
    assert (withdrawn["name"], withdrawn["target"], withdrawn["verdict"]) == ("withdraw-l4", "way1", "pass")
    assert withdrawn["touched"] >= 10
    assert result["verdict"] == "pass"
    assert said[-1] == "✔ PASS: The only scenario passed: no client lost more than its budget allows."


def test_a_single_point_of_failure_ends_with_1_and_is_named(tmp_path: Path) -> None:
    code, result, said = run_in_peace(tmp_path, "kill-l4", "--target", "way1")
    assert code == 1, said
    (killed,) = result["scenarios"]
    assert killed["verdict"] == result["verdict"] == "fail"
    assert killed["reason"].startswith("L4 node way1 broke the budget `kill-node`: ")
    assert re.search(r"black_hole was ≥ [\d,]+ ms, limit 300 ms \(udp 10\.0\.0\.1 port \d+ →", killed["reason"])
    assert killed["black_hole_ms"]["censored"] > 0, "its routes are static: nobody turns away from it"
    assert said[-1].startswith("✖ FAIL: 0 of 1 scenarios passed; 1 failed (kill-l4: ")
