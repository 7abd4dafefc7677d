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
    from scenarios import playing
    from scenarios.asked import Play
    from scenarios.catalogue import Entry

    class Decided:
        def __init__(self, bench, entry, build, reproduce, key, earlier=""):
            self.bench, self.entry, self.build, self.key, self.earlier = bench, entry, build, key, earlier
            self.disturbed = entry.name.startswith("then-") and not earlier

        def run(self):
            target = self.build(self.bench).plan.target
            word = self.entry.name.removeprefix("then-").removeprefix("denied-")
            word = "unknown" if self.disturbed else "fail" if target == "bad" else word
            verdict = SimpleNamespace(
                verdict=word, headline=f"{self.key} at {target} was {word}.", reason=f"So it was decided. {self.earlier}"
            )
            judged = SimpleNamespace(counts="denied" not in self.entry.name, reason=verdict.headline)
            return SimpleNamespace(verdict=verdict, judged=judged)

    playing.Scenario = Decided
    words = [before + word for before in ("", "then-", "denied-") for word in ("pass", "fail", "unknown")]
    targets = {"pass": ("good",), "denied-unknown": ("eu",)}

    @pytest.fixture(scope="session")
    def bench(request):
        named = tuple(request.config.getoption("--target"))
        plays = {w: Play(Entry(w, "Title", "node", "l4"), named or targets.get(w, ("n",))) for w in words}
        left_out = Play(Entry("left-out", "Title", "node", "l4"), left_out="left-out is not promised: not played")
        return SimpleNamespace(
            booted=None, broken="", plays={**plays, "left-out": left_out}, make_whole=lambda: "", say=lambda _: None,
            thin=lambda _: True, calm=lambda _: None,
        )
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
    verdicts: tuple[str, ...] = ()
    """The properties `verdict` of its tests, in order."""


def ran(directory: Path, tests: str, conftest: str, *options: str) -> Ran:
    """pytest with the plugin alone, in a process of its own, on these tests."""
    (directory / "conftest.py").write_text(textwrap.dedent(conftest), encoding="utf-8")
    (directory / "test_given.py").write_text(textwrap.dedent(tests), encoding="utf-8")
    junit = directory / "junit.xml"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "scenarios.plugin", "-p", "no:cacheprovider", "-q", "-rs", f"--rootdir={directory}",
         "-c", os.devnull, f"--junitxml={junit}", *options, str(directory / "test_given.py")],
        cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    suite = ET.parse(junit).getroot()[0]
    counts = [int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")]
    verdicts = tuple(p.attrib["value"] for p in suite.iter("property") if p.attrib["name"] == "verdict")
    return Ran(done.returncode, done.stdout + done.stderr, *counts, verdicts)


def scenarios(*words: str) -> str:
    tests = [textwrap.dedent(SCENARIO.format(number=n, word=word)) for n, word in enumerate(words)]
    return "from types import SimpleNamespace\n" + "".join(tests)


def decided(directory: Path, *words: str, options: tuple[str, ...] = ()) -> Ran:
    return ran(directory, scenarios(*words), DECIDED, *options)


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
    assert found.verdicts == words, "each test has its verdict as a property in JUnit"


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
    assert "unknown at n was unknown. So it was decided." in found.said
    assert "fail at n was fail. So it was decided." in found.said


def test_an_attempt_after_an_unknown_one_says_why_there_was_another(tmp_path: Path) -> None:
    found = decided(tmp_path, "then-fail")
    assert "then-fail again at n was fail. So it was decided. then-fail at n was unknown." in found.said
    assert found.verdicts == ("fail",)


# -- targets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "code", "verdict"),
    [(("one", "two"), 0, "pass"), (("one", "bad"), 1, "fail"), (("bad", "one"), 1, "fail")],
)
def test_two_targets_are_a_trial_each_and_the_worst_counts(
    tmp_path: Path, targets: tuple[str, ...], code: int, verdict: str
) -> None:
    found = decided(tmp_path, "pass", options=tuple(f"--target={target}" for target in targets))
    assert (found.code, found.verdicts, found.tests) == (code, (verdict,), 1), found.said
    if verdict == "fail":
        assert "pass bad at bad was fail" in found.said
        assert "pass one at one was" not in found.said, "why it failed is said, and no more"


# -- what was not promised -----------------------------------------------------------------------------------------


def test_what_is_not_promised_counts_for_no_exit_code_and_is_no_error(tmp_path: Path) -> None:
    found = decided(tmp_path, "pass", "denied-unknown")
    assert (found.code, found.failures, found.errors, found.skipped) == (0, 0, 0, 1), found.said
    assert "denied-unknown at eu was unknown" in found.said, "its figures are told"
    assert decided(tmp_path, "fail", "denied-unknown").code == 1
    assert decided(tmp_path, "denied-unknown").code == 3, "nothing was judged"


def test_what_is_left_out_or_was_not_asked_for_is_skipped_and_says_why(tmp_path: Path) -> None:
    found = decided(tmp_path, "pass", "left-out", "kill-node")
    assert (found.code, found.skipped) == (0, 2), found.said
    assert "left-out is not promised: not played" in found.said
    assert "kill-node is played where it is asked for by name" in found.said


def test_a_run_in_which_nothing_was_judged_is_no_pass(tmp_path: Path) -> None:
    assert ran(tmp_path, "def test_nothing(): pass", DECIDED).code == 3
    assert ran(tmp_path, "", DECIDED).code == 3


def test_a_scenario_that_was_skipped_is_no_pass(tmp_path: Path) -> None:
    found = ran(tmp_path, "import pytest\n\n@pytest.mark.skip\ndef test_skipped(judge): pass", DECIDED)
    assert found.code == 3, found.said


OWN = {
    "a host that fails": "def test_host():\n    raise OSError('no space left')\n",
    "a failed assertion": "def test_own():\n    assert 1 == 2\n",
    "a call of pytest.fail": "import pytest\n\ndef test_own():\n    pytest.fail('no')\n",
    "a fixture that cannot be made": "import pytest\n\n@pytest.fixture\ndef made():\n    raise OSError\n\ndef test_own(made): pass\n",
    "a teardown that fails": (
        "import pytest\n\n@pytest.fixture\ndef made():\n    yield\n    raise OSError\n\ndef test_own(made): pass\n"
    ),
    "a failed teardown of a scenario": (
        "import pytest\n\n@pytest.fixture\ndef made():\n    yield\n    raise OSError\n\n"
        "def test_own(made, judge):\n"
        "    judge.node('pass', lambda booted, node: SimpleNamespace(plan=SimpleNamespace(target=node)))\n"
    ),
}


@pytest.mark.parametrize("own", OWN.values(), ids=OWN.keys())
def test_what_goes_wrong_beside_a_pass_is_no_pass(tmp_path: Path, own: str) -> None:
    found = ran(tmp_path, f"{scenarios('pass')}\n\n{own}", DECIDED)
    assert found.code == 3, found.said


def test_what_goes_wrong_beside_a_fail_hides_it_not(tmp_path: Path) -> None:
    found = ran(tmp_path, f"{scenarios('fail')}\n\n{OWN['a failed assertion']}", DECIDED)
    assert found.code == 1, found.said


def test_a_users_own_test_that_passes_beside_a_pass_changes_nothing(tmp_path: Path) -> None:
    found = ran(tmp_path, f"{scenarios('pass')}\n\ndef test_own():\n    assert 1 == 1\n", DECIDED)
    assert found.code == 0, found.said


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
        from scenarios import bench, instruments, phases, schedule

        bench.CONTROL_NS = phases.CONTROL_NS = phases.QUIET_NS = 1_000_000_000
        phases.THRESHOLD_NS, phases.CAP_NS = 500_000_000, 3_000_000_000
        schedule.INTERVAL_NS = instruments.INTERVAL_NS = 50_000_000
        instruments.MOST_THINNED = 1
    """
    tests = """
        from scenarios.faults.kill_node import kill_node

        def test_kill(judge):
            judge.node("kill-l7", lambda b, node: kill_node(b.lab, node))
    """
    stack = write_stack(tmp_path, lab)
    for number in range(ATTEMPTS):
        out = tmp_path / f"out-{number}"
        found = ran(tmp_path, tests, conftest, f"--topology={stack}", f"--out={out}", "--target=server")
        if not too_busy(out / "evidence.jsonl", "kill-l7"):
            break
    assert found.code == 1, found.said
    assert (found.tests, found.failures, found.errors) == (1, 1, 0)
    evidence = read_evidence(out / "evidence.jsonl")
    assert evidence.end is not None
    assert evidence.end.verdict == "fail"
    assert not (STATE / lab).exists()
