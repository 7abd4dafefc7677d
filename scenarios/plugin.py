"""pytest's side of a run: options, the lab and its instruments as fixtures, and verdicts as outcomes and exit codes.

A failed verdict fails its test, an unknown one is an error; neither is ever a skip.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from probes.child import ProbeError
from probes.load import LoadError, check_locustfile
from reports.evidence import schema
from reports.evidence.again import again
from scenarios.boot import Booted
from scenarios.catalogue import ENTRIES, Entry
from scenarios.faults.base import Fault
from scenarios.instruments import CONNECTIONS_PER_VANTAGE, MOST_CONNECTIONS
from scenarios.phases import Bench, Scenario, unused
from scenarios.running import Asked, running, shown
from scenarios.telling import Teller
from topologies.contract import contract_path_for
from topologies.model import Link
from topologies.problems import BadInput
from topologies.runtime import LabExists
from topologies.runtimes import RUNTIMES

HERE = Path(__file__).resolve().parents[1]
REFERENCE = HERE / "topologies/reference/reference.clab.yml"
OUT = HERE / "reports/out"
SECOND_TRIES = 3
CALM_AGAIN_S = 30.0


@dataclass
class Session:
    """State of one pytest run, kept by the plugin."""

    verdicts: list[schema.Verdict] = field(default_factory=list)
    host_failures: int = 0
    locustfile: Path | None = None
    tries_left: int = SECOND_TRIES


SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run."""
    group = parser.getgroup("nospof")
    group.addoption(
        "--topology", default=str(REFERENCE), help="containerlab file of the stack to test (default: the reference)"
    )
    group.addoption("--contract", default=None, help="its contract (default: X.contract.yml beside X.clab.yml)")
    group.addoption("--locustfile", default=None, help="load by your own Locust users instead of ours")
    group.addoption("--out", default=None, help="directory of this run's evidence (default: reports/out/TIME)")
    group.addoption("--runtime", default="oci", choices=RUNTIMES, help="what runs the nodes (default: oci)")
    group.addoption(
        "--connections",
        type=int,
        default=CONNECTIONS_PER_VANTAGE,
        metavar="N",
        help=f"long-lived connections of each vantage, 1..{MOST_CONNECTIONS} (default: {CONNECTIONS_PER_VANTAGE})",
    )
    group.addoption(
        "--per-hop",
        action="store_true",
        help="stamp one probe of 64 at every link in the control window: where the microseconds go (its cost is printed)",
    )
    group.addoption("--target", default=None, help="node or region to break instead of the default one")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--locustfile")
    if given:
        try:
            check_locustfile(Path(given))
        except LoadError as error:
            raise pytest.UsageError(str(error)) from error
    held = config.getoption("--connections")
    if not 1 <= held <= MOST_CONNECTIONS:
        raise pytest.UsageError(f"--connections {held}: wanted 1..{MOST_CONNECTIONS}, how many each vantage holds")
    config.stash[SESSION] = Session(locustfile=Path(given) if given else None)


def out_directory(config: pytest.Config) -> Path:
    """Where this run's evidence goes."""
    given = config.getoption("--out")
    if given:
        return Path(given)
    return unused(OUT / datetime.now(UTC).strftime("%Y%m%d-%H%M%S"))


def _differing(config: pytest.Config) -> list[str]:
    """The options of this run that are not the defaults, for a command that repeats it."""
    topology, runtime = Path(config.getoption("--topology")), str(config.getoption("--runtime"))
    words = [] if topology == REFERENCE else ["--topology", shown(topology)]
    held = int(config.getoption("--connections"))
    words += [] if held == CONNECTIONS_PER_VANTAGE else ["--connections", str(held)]
    words += ["--per-hop"] if config.getoption("--per-hop") else []
    return words if runtime == "oci" else [*words, "--runtime", runtime]


TELLER = Teller()


def _say(message: str) -> None:
    TELLER.say(message)


def _worst(verdicts: Sequence[schema.Verdict]) -> schema.VerdictWord:
    words = {v.verdict for v in verdicts}
    if "fail" in words:
        return "fail"
    return "unknown" if "unknown" in words or not words else "pass"


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The lab in service, measured from every vantage, for the whole run; taken down at its end."""
    config = request.config
    topology = Path(config.getoption("--topology"))
    asked = Asked(
        topology,
        Path(config.getoption("--contract")) if config.getoption("--contract") else contract_path_for(topology),
        str(config.getoption("--runtime")),
        out_directory(config),
        shlex.join(["./nospof", "run", *_differing(config)]),
        config.getoption("--connections"),
        config.stash[SESSION].locustfile,
        config.getoption("--per-hop"),
    )
    try:
        with running(asked, TELLER, _worst) as made:
            yield made
    except (BadInput, LabExists) as error:
        pytest.exit(f"nospof: {error}", returncode=2)


class Judge:
    """Runs one fault as a scenario and turns its verdict into the test's outcome."""

    def __init__(self, bench: Bench, request: pytest.FixtureRequest) -> None:
        self.bench = bench
        self._request = request
        self._target: str | None = request.config.getoption("--target")

    def node(self, name: str, fault: Callable[[Booted, str], Fault]) -> None:
        """Breaks a node. Fails the test on `fail`, raises UnknownVerdict on `unknown`; so do the two below."""
        self._play(ENTRIES[name], lambda b, entry: fault(b, entry.node(b.topology, self._target)))

    def link(self, name: str, fault: Callable[[Booted, Link], Fault]) -> None:
        """Breaks a link."""
        self._play(ENTRIES[name], lambda b, entry: fault(b, entry.link(b.topology, self._target)))

    def region(self, name: str, fault: Callable[[Booted, str], Fault]) -> None:
        """Breaks a region."""
        self._play(ENTRIES[name], lambda b, entry: fault(b, entry.region(b.topology, self._target)))

    def _play(self, entry: Entry, build: Callable[[Booted, Entry], Fault]) -> None:
        config = self._request.config
        try:
            fault = build(self.bench.booted, entry)
        except BadInput as error:
            # A stack without such a role or action has nothing to break there; who asked for it by name is told so.
            _say(f"{entry.name}: does not apply: {error}")
            pytest.skip(f"does not apply to this stack: {error}")
        words = ["./nospof", "run", entry.name, "--target", fault.plan.target, *_differing(config)]
        verdict = self._tried(Scenario(self.bench, entry, fault, shlex.join(words)), build)
        config.stash[SESSION].verdicts.append(verdict)
        self._request.node.user_properties.append(("verdict", verdict.verdict))
        _say(f"{entry.name}: {verdict.verdict.upper()}: {verdict.headline}")
        if verdict.verdict == "fail":
            pytest.fail(f"{verdict.headline} {verdict.reason}", pytrace=False)
        if verdict.verdict == "unknown":
            raise UnknownVerdict(f"{verdict.headline} {verdict.reason}")

    def _tried(self, scenario: Scenario, build: Callable[[Booted, Entry], Fault]) -> schema.Verdict:
        """The verdict; where it is unknown for nothing but too little CPU, that of a second try, for which the host is first given
        fewer probes to carry and time to calm down. A run has a few second tries and no more: a host that is always busy shall not
        keep it for hours."""
        verdict = scenario.run()
        session = self._request.config.stash[SESSION]
        if not scenario.disturbed or session.tries_left == 0:
            return verdict
        session.tries_left -= 1
        entry = scenario.entry
        _say(f"{entry.name}: unknown, since the CPUs were busy; once more: {verdict.reason}")
        with contextlib.suppress(ProbeError):  # then the second try will tell
            self.bench.thin("a second try must not fail for the same reason")
            self.bench.calm(CALM_AGAIN_S)
        self.bench.verdicts.remove(verdict)
        fault = build(self.bench.booted, entry)
        second = Scenario(
            self.bench, replace(entry, name=again(entry.name)), fault, scenario.reproduce, earlier=verdict.reason
        )
        return second.run()


class UnknownVerdict(Exception):
    """The instrument could not be trusted, or the fault did not bite: an error, never a pass and never a skip."""


@pytest.fixture
def judge(bench: Bench, request: pytest.FixtureRequest) -> Judge:
    """Runs a fault on the bench and judges it."""
    return Judge(bench, request)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """An unknown verdict is an error in every report, JUnit included, where pytest would say failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if call.excinfo is not None and call.excinfo.errisinstance(UnknownVerdict):
        report.when = "setup"
        report.longrepr = f"UNKNOWN: {call.excinfo.value}"
    elif report.failed and call.excinfo is not None and not call.excinfo.errisinstance(pytest.fail.Exception):
        item.config.stash[SESSION].host_failures += 1
        if not _own_tests(item.config):
            _say(f"{item.name.removeprefix('test_').replace('_', '-')}: could not be played: {call.excinfo.value}")


def _own_tests(config: pytest.Config) -> bool:
    """Whether only tests of the project itself were asked for, with nothing to judge."""
    asked = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return bool(asked) and all(path.is_relative_to(HERE / "tests") for path in asked)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """0 pass, 1 if any scenario failed, else 3 if any is unknown, the host failed us, or nothing was judged."""
    state = session.config.stash[SESSION]
    if _own_tests(session.config) or exitstatus not in (
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        return
    words = {v.verdict for v in state.verdicts}
    if "fail" in words:
        session.exitstatus = 1
    elif state.host_failures or "unknown" in words or not words:
        session.exitstatus = 3
    else:
        session.exitstatus = 0
