"""Verdicts as pytest's outcomes and exit codes: no unknown passes, none is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

from reports.evidence.reader import read_evidence
from tests.scenarios.busy import ATTEMPTS, too_busy
from tests.scenarios.stack import write_stack
from topologies.linux.state import ROOT as STATE

ROOT = Path(__file__).resolve().parents[2]

# In place of a scenario on a lab: one that has its verdict already.
DECIDED = """
    from pathlib import Path
    from types import SimpleNamespace
    import pytest
    from scenarios import plugin
    from scenarios.catalogue import Entry
    from topologies.model import Node, Topology

    class Decided:
        def __init__(self, bench, entry, fault, reproduce, earlier=""):
            self.bench, self.entry, self.reproduce, self.earlier = bench, entry, reproduce, earlier
            self.disturbed = entry.name in ("then-pass", "then-fail", "then-unknown")

        def run(self):
            name = self.entry.name.removesuffix(" again")
            word = "unknown" if self.disturbed else name.removeprefix("then-")
            verdict = SimpleNamespace(verdict=word, headline=f"it was {word}.", reason=f"So it was decided. {self.earlier}")
            self.bench.verdicts.append(verdict)
            return verdict

    plugin.Scenario = Decided
    words = [before + word for before in ("", "then-") for word in ("pass", "fail", "unknown")]
    plugin.ENTRIES = {word: Entry(word, "Title", "node", "l4") for word in words}

    @pytest.fixture(scope="session")
    def bench():
        node = Node("n", "linux", "nospof/base:latest", labels={"nospof.role": "l4"})
        booted = SimpleNamespace(topology=Topology("lab", Path("lab.yml"), "clab", {"n": node}, ()))
        return SimpleNamespace(booted=booted, verdicts=[], thin=lambda _: True, calm=lambda _: None)
"""
SCENARIO = """
    def test_{number}(judge):
        judge.node("{word}", lambda booted, node: SimpleNamespace(plan=SimpleNamespace(target=node)))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of pytest ended, and what its JUnit file counts."""

    code: int
    said: str
    tests: int
    failures: int
    errors: int
    skipped: int


def ran(directory: Path, tests: str, conftest: str, *options: str) -> Ran:
    """pytest with the plugin alone, in a process of its own, on these tests."""
    (directory / "conftest.py").write_text(textwrap.dedent(conftest), encoding="utf-8")
    (directory / "test_given.py").write_text(textwrap.dedent(tests), encoding="utf-8")
    junit = directory / "junit.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "scenarios.plugin", "-p", "no:cacheprovider", "-q", f"--rootdir={directory}",
         "-c", os.devnull, f"--junitxml={junit}", *options, str(directory / "test_given.py")],
        cwd=directory, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    suite = ET.parse(junit).getroot()[0]
    counts = [int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")]
    return Ran(done.returncode, done.stdout + done.stderr, *counts)


def decided(directory: Path, *words: str) -> Ran:
    tests = [textwrap.dedent(SCENARIO.format(number=n, word=word)) for n, word in enumerate(words)]
    return ran(directory, "from types import SimpleNamespace\n" + "".join(tests), DECIDED)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("pass",), 0),
        (("pass", "pass"), 0),
        (("fail",), 1),
        (("unknown",), 3),
        (("pass", "unknown"), 3),
        (("pass", "fail"), 1),
        (("unknown", "fail"), 1),
    ],
)
def test_the_worst_verdict_is_the_exit_code(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    found = decided(tmp_path, *words)
    assert found.code == code, found.said
    assert (found.failures, found.errors, found.skipped) == (words.count("fail"), words.count("unknown"), 0)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("then-pass",), 0),
        (("then-fail",), 1),
        (("then-unknown",), 3),
        (("then-pass", "pass", "then-pass", "then-pass"), 0),
        (("then-pass", "then-pass", "then-pass", "then-pass"), 3),  # no more than three second tries in a run
    ],
)
def test_what_too_little_cpu_left_unknown_has_a_second_try_and_its_verdict_counts(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    found = decided(tmp_path, *words)
    assert found.code == code, found.said
    assert found.tests == len(words)


def test_what_was_seen_and_why_is_told(tmp_path: Path) -> None:
    found = decided(tmp_path, "unknown", "fail")
    assert "it was unknown. So it was decided." in found.said
    assert "it was fail. So it was decided." in found.said


def test_a_run_in_which_nothing_was_judged_is_no_pass(tmp_path: Path) -> None:
    assert ran(tmp_path, "def test_nothing(): pass", DECIDED).code == 3
    assert ran(tmp_path, "", DECIDED).code == 3


def test_a_scenario_that_was_skipped_is_no_pass(tmp_path: Path) -> None:
    found = ran(tmp_path, "import pytest\n\n@pytest.mark.skip\ndef test_skipped(judge): pass", DECIDED)
    assert found.code == 3, found.said


def test_a_host_that_fails_beside_a_pass_is_no_pass(tmp_path: Path) -> None:
    tests = "from types import SimpleNamespace\n" + textwrap.dedent(SCENARIO.format(number=1, word="pass"))
    found = ran(tmp_path, tests + "\n\ndef test_host():\n    raise OSError('no space left')\n", DECIDED)
    assert found.code == 3, found.said


def test_a_topology_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    tests = "def test_never(judge):\n    raise AssertionError\n"
    found = ran(tmp_path, tests, "", f"--topology={tmp_path / 'nowhere.clab.yml'}")
    assert found.code == 2, found.said
    assert "nowhere.clab.yml" in found.said


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_kill_of_the_only_way_of_a_real_stack_ends_with_one_and_leaves_evidence_and_no_lab(tmp_path: Path) -> None:
    lab = f"exit{os.getpid()}"
    conftest = """
        from scenarios import instruments, phases, schedule

        phases.CONTROL_NS = phases.QUIET_NS = 1_000_000_000
        phases.THRESHOLD_NS, phases.OBSERVE_S = 500_000_000, 3.0
        schedule.INTERVAL_NS = instruments.INTERVAL_NS = 50_000_000
        instruments.MOST_THINNED = 1
    """
    tests = """
        from scenarios.faults.kill_node import kill_node

        def test_kill(judge):
            judge.node("kill-l4", lambda b, node: kill_node(b.lab, node))
    """
    stack = write_stack(tmp_path, lab)
    for number in range(ATTEMPTS):
        out = tmp_path / f"out-{number}"
        found = ran(tmp_path, tests, conftest, f"--topology={stack}", f"--out={out}", "--target=front")
        if not too_busy(out / "evidence.jsonl", "kill-l4"):
            break
    assert found.code == 1, found.said
    assert (found.tests, found.failures, found.errors) == (1, 1, 0)
    evidence = read_evidence(out / "evidence.jsonl")
    assert evidence.end is not None
    assert evidence.end.verdict == "fail"
    assert not (STATE / lab).exists()
