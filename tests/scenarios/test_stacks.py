"""The whole way, as a user goes it: the reference passes and the counterexample fails, for the reason that it was made for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reports.evidence.reader import read_evidence
from tests.scenarios.busy import ATTEMPTS, too_busy

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
ROOT = Path(__file__).resolve().parents[2]
TOPOLOGIES = ROOT / "topologies"


def under_another_name(source: Path, directory: Path, lab: str) -> Path:
    """The topology and its contract as another lab, so that one of a user's may be up beside it."""
    described = yaml.safe_load(source.read_text(encoding="utf-8"))
    described["name"] = lab
    for node in described["topology"]["nodes"].values():
        node["binds"] = [_absolute(bind, source.parent) for bind in node.get("binds", ())]
    for level in ("kinds", "groups"):
        for definition in described["topology"].get(level, {}).values():
            definition["binds"] = [_absolute(bind, source.parent) for bind in definition.get("binds", ())]
    copy = directory / source.name
    copy.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    contract = source.name.replace(".clab.yml", ".contract.yml")
    (directory / contract).write_text((source.parent / contract).read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def _absolute(bind: str, base: Path) -> str:
    host, _, rest = bind.partition(":")
    return f"{host if Path(host).is_absolute() else (base / host).resolve()}:{rest}"


def run(topology: Path, out: Path, *scenarios: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON object printed last, and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", *scenarios, "--topology", topology, "--json", "--out", out],
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def run_in_peace(topology: Path, out: Path, *scenarios: str) -> tuple[int, dict[str, Any], str]:
    """The first run that is not left unknown by the host's load alone."""
    for number in range(ATTEMPTS):
        found = run(topology, out / str(number), *scenarios)
        doubted = [s["name"] for s in found[1]["scenarios"] if s["verdict"] == "unknown"]
        if not doubted or not all(too_busy(out / str(number) / "evidence.jsonl", name) for name in doubted):
            break
    return found


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    lab = f"stk{os.getpid()}"
    yield under_another_name(TOPOLOGIES / request.param, tmp_path, lab)
    assert not Path(f"/run/nospof/labs/{lab}").exists(), "nothing is left"


@pytest.mark.parametrize("stack", ["reference/reference.clab.yml"], indirect=True)
def test_the_reference_keeps_its_promises(stack: Path, tmp_path: Path) -> None:
    code, result, said = run_in_peace(stack, tmp_path / "out", "kill-l4", "freeze-l7")
    assert code == 0, said
    assert {s["name"]: s["verdict"] for s in result["scenarios"]} == {"kill-l4": "pass", "freeze-l7": "pass"}
    killed, frozen = (next(s for s in result["scenarios"] if s["name"] == name) for name in ("kill-l4", "freeze-l7"))
    assert 100 <= killed["black_hole_ms"]["max"] <= 300, "three BFD intervals at least"
    assert (killed["broken"], killed["connections"]) == (0, 300)
    judged = {s.name: s.verdict for s in read_evidence(Path(result["evidence"])).scenarios}["freeze-l7"]
    assert judged is not None
    assert sum(v.stall for v in judged.vantages) == frozen["broken"] >= 10, "a frozen Envoy stalls its connections"
    assert said.splitlines()[-1] == "✔ PASS: All 2 scenarios passed: no client lost more than its budget allows."


@pytest.mark.parametrize("stack", ["counterexamples/single-l4.clab.yml"], indirect=True)
def test_a_single_point_of_failure_is_found_and_named(stack: Path, tmp_path: Path) -> None:
    code, result, said = run_in_peace(stack, tmp_path / "out", "kill-l4")
    assert code == 1, said
    (killed,) = result["scenarios"]
    assert killed["verdict"] == "fail"
    assert killed["target"] == "eu-l4-1"
    assert "`kill-node/l4`" in killed["reason"]
    assert "eu-l4-1" in killed["reason"]
    assert killed["broken"] > 0
