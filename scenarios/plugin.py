"""pytest's side of a run: options, the lab and its instruments as fixtures, and verdicts as outcomes and exit codes.

A failed verdict fails its test, an unknown one is an error; neither is ever a skip.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from _pytest.outcomes import Failed

from probes.load import LoadError, check_locustfile
from reports.evidence import schema
from scenarios.bench import Bench
from scenarios.boot import Booted
from scenarios.catalogue import ENTRIES
from scenarios.instruments import CONNECTIONS_PER_VANTAGE, MOST_CONNECTIONS
from scenarios.playing import Made, Played, Player
from scenarios.running import Asked, running, shown
from scenarios.targets import named_link
from scenarios.telling import Teller
from scenarios.unused import unused
from scenarios.verdict.outcome import Outcomes, worst
from topologies.contract import contract_path_for
from topologies.model import Link
from topologies.problems import BadInput
from topologies.runtime import LabExists
from topologies.runtimes import RUNTIMES

HERE = Path(__file__).resolve().parents[1]
REFERENCE = HERE / "topologies/reference/reference.clab.yml"
OUT = HERE / "reports/out"


@dataclass
class Session:
    """State of one pytest run, kept by the plugin. `went_wrong`: whether anything failed that is no verdict."""

    locustfile: Path | None = None
    player: Player = field(default_factory=Player)
    went_wrong: bool = False
    bad_input: bool = False

    @property
    def outcomes(self) -> Outcomes:
        words = frozenset(played.word for played in self.player.played if played.counts)
        return Outcomes(words, self.went_wrong, self.bad_input)


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
    group.addoption(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="node, link or region to break instead of the default one; more than once: one trial at each",
    )
    group.addoption("--each", action="store_true", help="one trial at every element that a scenario can be aimed at")


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


def _named(config: pytest.Config) -> tuple[str, ...]:
    """Scenarios that were asked for by name: as tests of their files."""
    tests = {arg.rpartition("::")[2] for arg in config.args if "::" in arg}
    return tuple(entry.name for entry in ENTRIES.values() if entry.test in tests)


TELLER = Teller()


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The lab in service, measured from every vantage, for the whole run; taken down at its end."""
    config, session = request.config, request.config.stash[SESSION]
    topology = Path(config.getoption("--topology"))
    asked = Asked(
        topology,
        Path(config.getoption("--contract")) if config.getoption("--contract") else contract_path_for(topology),
        str(config.getoption("--runtime")),
        out_directory(config),
        shlex.join(["./nospof", "run", *_differing(config)]),
        config.getoption("--connections"),
        session.locustfile,
        config.getoption("--per-hop"),
        _named(config),
        tuple(config.getoption("--target")),
        config.getoption("--each"),
    )
    try:
        with running(asked, TELLER, lambda: session.outcomes.verdict) as made:
            session.player.at_rest(made)
            yield made
    except (BadInput, LabExists) as error:
        session.bad_input = True
        TELLER.say(f"nospof: {error}")
        pytest.exit(f"nospof: {error}", returncode=2)


class FailedVerdict(Failed):
    """A limit was broken: the test fails by a verdict, and by nothing else."""


class UnknownVerdict(Exception):
    """The instrument could not be trusted, or the fault did not bite: an error, never a pass and never a skip."""


class Judge:
    """Runs one scenario, at each of its targets, and turns its worst verdict into the test's outcome."""

    def __init__(self, bench: Bench, request: pytest.FixtureRequest) -> None:
        self.bench = bench
        self._request = request
        self._player = request.config.stash[SESSION].player

    def node(self, name: str, fault: Made[str]) -> None:
        """Breaks a node. Fails the test on `fail`, raises UnknownVerdict on `unknown`; so do the two below."""
        self._play(name, fault)

    def link(self, name: str, fault: Made[Link]) -> None:
        """Breaks a link."""
        self._play(name, lambda booted, target: fault(booted, _link(booted, target)))

    def region(self, name: str, fault: Made[str]) -> None:
        """Breaks a region."""
        self._play(name, fault)

    def _play(self, name: str, make: Made[str]) -> None:
        play = self.bench.plays.get(name)
        if play is None:
            pytest.skip(f"{name} is played where it is asked for by name: nospof run {name} --target NAME")
        if play.left_out:
            # A stack without such a role or action has nothing to break there; who asked for it by name was told before.
            self.bench.say(play.left_out)
            pytest.skip(play.left_out)
        options = _differing(self._request.config)
        each = [self._player.play(self.bench, play, target, make, options) for target in play.targets or (None,)]
        played = [p for p in each if p.counts]
        word = worst(p.word for p in played)
        self._request.node.user_properties.append(("verdict", word))
        if not played:
            pytest.skip(" ".join(p.said for p in each))  # nothing was promised there: it counts for nothing
        said = " ".join(p.said for p in played if p.word == word)
        if word == "fail":
            raise FailedVerdict(said, pytrace=False)
        if word == "unknown":
            raise UnknownVerdict(said)


def _link(booted: Booted, name: str) -> Link:
    return named_link(booted.topology, name)


@pytest.fixture
def judge(bench: Bench, request: pytest.FixtureRequest) -> Judge:
    """Runs a fault on the bench and judges it."""
    return Judge(bench, request)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """An unknown verdict is an error in every report, JUnit included, where pytest would say failure. What fails and is no verdict is
    remembered: it is the exit code's affair, too."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if call.excinfo is not None and call.excinfo.errisinstance(UnknownVerdict):
        report.when = "setup"
        report.longrepr = f"UNKNOWN: {call.excinfo.value}"
    elif report.failed and call.excinfo is not None and not call.excinfo.errisinstance(FailedVerdict):
        item.config.stash[SESSION].went_wrong = True
        if not _own_tests(item.config):
            name = item.name.removeprefix("test_").replace("_", "-")
            TELLER.say(f"{name}: could not be played: {call.excinfo.value}")


def _own_tests(config: pytest.Config) -> bool:
    """Whether only tests of the project itself were asked for, with nothing to judge."""
    asked = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return bool(asked) and all(path.is_relative_to(HERE / "tests") for path in asked)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """0 pass, 1 if any verdict is fail, else 3 if any is unknown, anything else went wrong, or nothing was judged."""
    if _own_tests(session.config) or exitstatus not in (
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        return
    session.exitstatus = session.config.stash[SESSION].outcomes.exit_code


__all__ = ["FailedVerdict", "Judge", "Played", "UnknownVerdict", "schema"]
