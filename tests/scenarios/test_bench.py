"""A lab that a trial left broken is reset, else deployed anew, else no trial begins; and what carries traffic just now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from probes.child import ProbeError
from scenarios import bench as bench_module
from scenarios.bench import OPENED_AT_MOST, Bench, crossed_by
from scenarios.protocols import UDP
from scenarios.serving import baseline
from scenarios.waiting import DeadlineMissed
from tests.topologies.files import contract_of, small_topology
from topologies.linux.wire import Flow, Seen
from topologies.linux.wired import Crossing
from topologies.runtime import RuntimeFailure

VIP = "203.0.113.10"
BOTH = frozenset({f"route {VIP}/32 table 254 dev 2 dev 3"})
ONE = frozenset({f"route {VIP}/32 table 254 dev 2"})
LONG = "a-process-of-a-very-long-name"
WEB = ("client0", "web", VIP)


@dataclass
class Lab:
    """client0 - l41: its routes, its processes, and what a reset comes to, as a test says."""

    lines: frozenset[str] = BOTH
    names: tuple[str, ...] = (LONG[:15], "sh")
    mends: Callable[[Lab], None] = lambda _: None
    resets: int = 0
    levelled: int = 0
    topology = small_topology("client", "l4")

    def reset(self) -> list[str]:
        self.resets += 1
        self.mends(self)
        return []

    def level(self) -> None:
        self.levelled += 1

    def snapshot(self, node: str) -> frozenset[str]:
        return self.lines if node == "l41" else frozenset()

    def pids(self, node: str) -> dict[int, str]:
        return dict(enumerate(self.names, 1)) if node == "l41" else {}


@dataclass
class Made:
    """A bench and what it was told and said. `silent`: who does not answer whom."""

    bench: Bench
    lab: Lab
    said: list[str]
    silent: set[tuple[str, str, str]] = field(default_factory=set)


@pytest.fixture
def made(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Made:
    contract = contract_of(tmp_path, CONTRACT)
    monkeypatch.setattr(bench_module, "WHOLE_S", 0.0)
    lab, said = Lab(), list[str]()
    bench = Bench(cast(Any, booted(lab, contract)), cast(Any, "instruments"), cast(Any, None), said.append)
    bench.baseline = baseline([{"l41": BOTH}], ["l41"], [VIP], {"l41": frozenset({LONG})})
    found = Made(bench, lab, said)
    monkeypatch.setattr(bench_module, "unanswered", lambda *_: dict.fromkeys(found.silent, "why"))
    return found


CONTRACT = f"""\
version: 1
prefixes: [203.0.113.0/24]
services:
  web: {{vip: {VIP}, port: 80, protocol: http}}
processes: {{l4: [{LONG}]}}
"""


def booted(lab: Lab, contract: object, unreached: tuple[tuple[str, str, str], ...] = ()) -> object:
    return SimpleNamespace(
        lab=lab, topology=lab.topology, contract=contract, unreached=dict.fromkeys(unreached, "never answered")
    )


# -- a lab that is whole -------------------------------------------------------------------------------------------


def test_a_lab_that_is_whole_is_left_alone(made: Made) -> None:
    assert made.bench.make_whole() == ""
    assert (made.lab.resets, made.said) == (0, [])


def test_a_reset_mends_it_and_says_why_it_was_needed(made: Made) -> None:
    made.lab.lines, made.bench.broken = ONE, "the cut of l41:eth1"
    made.lab.mends = lambda lab: setattr(lab, "lines", BOTH)
    assert made.bench.make_whole() == made.bench.broken == ""
    assert made.said == ["the lab is not as it should be (the cut of l41:eth1): it is reset"]
    assert made.lab.levelled == 1, "what was started anew is weighed like the others once it serves"


def test_after_a_reset_connections_are_opened_once_more(made: Made) -> None:
    """Those that were opened while something was broken may stand where no new one would be put."""
    made.bench.broken, made.bench._renewing, made.bench.opened = "the cut of l41:eth1", True, True
    assert made.bench.make_whole() == ""
    assert not made.bench._renewing
    assert not made.bench.opened


def test_a_process_of_a_long_name_that_runs_is_no_dead_one(made: Made) -> None:
    made.bench.broken = "something"
    assert made.bench.make_whole() == ""


@pytest.mark.parametrize("lacks", ["ways", "process", "answer"])
def test_what_a_reset_does_not_mend_is_deployed_anew(made: Made, lacks: str) -> None:
    made.bench.broken = "something"
    if lacks == "ways":
        made.lab.lines, why = ONE, f"l41 has 1 of 2 ways to {VIP}"
    elif lacks == "process":
        made.lab.names, why = ("sh",), f"{LONG} does not run in l41"
    else:
        made.silent, why = {WEB}, f"client0 → web {VIP} does not answer"
    fresh = booted(Lab(), made.bench.booted.contract)
    made.bench.redeploy = lambda: cast(Any, (fresh, "fresh instruments"))
    kept = made.bench.kept
    assert made.bench.make_whole() == made.bench.broken == ""
    assert (made.bench.booted, made.bench.instruments) == (fresh, "fresh instruments")
    assert made.bench.kept is not kept, "what was read of the other lab's nodes is forgotten"
    assert made.bench.baseline is not None, "and what the stack looked like when it served is not"
    assert why in made.said[-1]
    assert made.said[-1].endswith("it is deployed anew")


@pytest.mark.parametrize("error", [RuntimeFailure("no such node"), OSError("no such file")])
def test_a_reset_that_fails_is_no_mended_lab(made: Made, error: Exception) -> None:
    def fails(_: Lab) -> None:
        raise error

    made.bench.broken, made.lab.mends = "something", fails
    assert made.bench.make_whole() == made.bench.broken == str(error)
    made.bench.redeploy = lambda: cast(Any, (booted(Lab(), made.bench.booted.contract), "fresh instruments"))
    assert made.bench.make_whole() == ""


@pytest.mark.parametrize("error", [RuntimeFailure("lab x did not come into service"), ProbeError("no prober")])
def test_where_neither_mends_it_it_stays_broken_and_a_lab_that_is_gone_is_not_deployed_twice(
    made: Made, error: Exception
) -> None:
    tries = []

    def fails() -> Any:
        tries.append(1)
        raise error

    made.bench.broken, made.lab.lines, made.bench.redeploy = "something", ONE, fails
    assert made.bench.make_whole() == made.bench.broken == str(error)
    assert made.bench.make_whole() == made.bench.broken
    assert len(tries) == 1


def test_without_a_way_to_deploy_it_anew_it_stays_broken(made: Made) -> None:
    made.bench.broken, made.lab.lines = "something", ONE
    assert "l41 has 1 of 2 ways" in made.bench.make_whole()
    assert made.bench.broken


def test_who_never_answered_is_not_waited_for_and_who_did_is(made: Made) -> None:
    made.bench.booted = cast(Any, booted(made.lab, made.bench.booted.contract, (WEB,)))
    made.bench.broken, made.silent = "something", {WEB}
    assert made.bench.make_whole() == ""
    made.bench.broken, made.silent = "something", {WEB, ("client0", "echo", VIP)}
    assert "client0 → echo" in made.bench.make_whole()


def test_a_fresh_lab_in_which_less_answers_than_before_is_not_whole(made: Made) -> None:
    made.bench.broken, made.silent = "something", {WEB}
    made.bench.redeploy = lambda: cast(Any, (booted(Lab(), made.bench.booted.contract, (WEB,)), "fresh"))
    assert made.bench.make_whole() == made.bench.broken == f"client0 → web {VIP} does not answer"


# -- steady state, and the control window that it begins ------------------------------------------------------------


@dataclass
class Quiet:
    """Instruments whose clients lost something last at these times, ns; `unsteady` for ever where a test says so."""

    losses: dict[str, int] = field(default_factory=dict)
    wrong: str = ""
    fresh: bool = True
    interval_ns = 10_000_000
    renewals: int = 0
    forgotten_ns: int = 0

    def begin_renewal(self) -> None:
        self.renewals += 1

    def renew(self, since_ns: int) -> None:
        self.forgotten_ns = since_ns
        if not self.fresh:
            raise ProbeError("3 of 100 were opened anew")

    def unsteady(self, _: int) -> str:
        return self.wrong

    def restless(self) -> str:
        return ""

    def learn_grace(self) -> None:
        pass

    def last_losses(self, since_ns: int) -> dict[str, int]:
        return {who: t for who, t in self.losses.items() if t >= since_ns}


@dataclass
class Tapped(Lab):
    """The same lab, which notes whether its links are tapped."""

    taps: list[str] = field(default_factory=list)
    seen: list[Crossing] = field(default_factory=lambda: [crossing("client0", "l41")])

    def __post_init__(self) -> None:
        self.wire = SimpleNamespace(forget_taps=lambda: self.taps.append("forgotten"), take_tap_overflow=lambda: 2)

    def tap(self, _: object) -> None:
        self.taps.append("tapped")

    def take_tapped(self) -> list[Crossing]:
        self.taps.append("read")
        return self.seen


def steady(made: Made, monkeypatch: pytest.MonkeyPatch, quiet: Quiet, now_s: float = 100.0) -> Bench:
    """A bench at that time of a clock that stands still."""
    monkeypatch.setattr(bench_module.time, "monotonic_ns", lambda: round(now_s * 1e9))
    monkeypatch.setattr(bench_module, "STEADY_S", 0.0)
    bench = made.bench
    bench.booted = cast(Any, booted(Tapped(), bench.booted.contract))
    bench.instruments = cast(Any, quiet)
    return bench


def test_the_control_window_is_the_quiet_in_which_connections_were_opened(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = steady(made, monkeypatch, quiet := Quiet(), 97.0)
    bench.begin_renewal()
    steady(made, monkeypatch, quiet, 100.0)
    bench.settle()
    assert bench.quiet_ns == quiet.forgotten_ns == 97_000_000_000, "what happens in the control window is kept"
    assert (bench.opened, quiet.renewals) == (True, 1)
    assert bench.openings == (crossing("client0", "l41"),)


def test_a_loss_meanwhile_begins_it_anew(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = steady(made, monkeypatch, Quiet(losses={"probes of a": 98_500_000_000, "probes of b": 90_000_000_000}))
    bench.opened, bench.quiet_ns = True, 97_000_000_000
    bench.settle()
    assert bench.quiet_ns == 100_000_000_000


def test_connections_are_opened_once_more_where_something_was_lost_since(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a region was away its clients' connections went to another; idle ones of these broke in the next trial, untouched."""
    bench = steady(made, monkeypatch, quiet := Quiet(losses={"probes of a": 98_500_000_000}), 97.0)
    bench.begin_renewal()
    steady(made, monkeypatch, quiet, 99.0)
    bench.quiet_ns = 99_000_000_000  # fewer probes since
    bench.settle()
    assert (quiet.renewals, bench.stale, bench.opened) == (2, False, True)


def test_where_something_is_lost_after_that_as_well_it_is_known_that_idle_ones_may_be_anywhere(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = steady(made, monkeypatch, quiet := Quiet(losses={"probes of a": 1 << 62}))
    bench.settle()
    assert (quiet.renewals, bench.stale, bench.opened) == (OPENED_AT_MOST, True, True)


def test_fewer_probes_begin_it_anew(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = steady(made, monkeypatch, Quiet())
    bench.opened, bench.quiet_ns = True, 97_000_000_000
    bench.instruments.thin = lambda: True  # type: ignore[method-assign]
    bench.thin("asked for")
    assert bench.quiet_ns == 100_000_000_000


def test_it_leaves_time_for_a_target_to_be_chosen_in(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = steady(made, monkeypatch, Quiet())
    bench.opened, bench.quiet_ns = True, 40_000_000_000
    bench.settle()
    assert bench.quiet_ns == 100_000_000_000 - bench_module.CONTROL_NS + bench_module.CHOSEN_NS


@pytest.mark.parametrize("quiet", [Quiet(wrong="probes of a are lost"), Quiet(fresh=False)])
def test_without_steady_state_it_begins_when_nobody_waits_any_longer(
    made: Made, monkeypatch: pytest.MonkeyPatch, quiet: Quiet
) -> None:
    bench = steady(made, monkeypatch, quiet, 90.0)
    bench.begin_renewal()
    steady(made, monkeypatch, quiet)
    with pytest.raises((DeadlineMissed, ProbeError)):
        bench.settle()
    assert bench.quiet_ns == 100_000_000_000


def test_connections_are_opened_anew_only_where_something_was_broken(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = steady(made, monkeypatch, quiet := Quiet())
    bench.opened = True
    bench.begin_renewal()
    bench.settle()
    assert quiet.renewals == 0
    bench.opened = False
    bench.settle()
    assert quiet.renewals == 1


def test_links_are_tapped_from_when_connections_are_opened_until_a_target_is_chosen(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an idle connection crossed is seen when it is opened; what a busy one crosses, at its next heartbeat."""
    bench = steady(made, monkeypatch, Quiet())
    lab = cast(Tapped, bench.booted.lab)
    bench.settle()
    assert lab.taps == ["forgotten", "tapped", "read"]
    lab.seen = [crossing("client0", "l41", "left")]
    bench.settle()
    assert lab.taps == ["forgotten", "tapped", "read", "read"]
    assert bench.openings == (crossing("client0", "l41"), crossing("client0", "l41", "left"))
    assert bench.overflow == 4, "what did not fit is not forgotten"


# -- what carries traffic ------------------------------------------------------------------------------------------


def crossing(
    sender: str, receiver: str, interface: str = "right", *, dst: str = VIP, src: str = "10.0.0.1"
) -> Crossing:
    return Crossing(sender, receiver, interface, Flow(src, 20_000, dst, 7, UDP), Seen(1, 2))


def test_what_carries_is_what_a_packet_to_or_from_a_vip_crossed_and_who_answered(made: Made) -> None:
    made.bench.instruments = cast(Any, SimpleNamespace(answering=lambda: frozenset({"l72"})))
    made.bench.quiet_ns = bench_module.STEADY_NS  # what is seen is seen a moment later
    made.bench.openings = (crossing("client0", "l41"),)
    assert made.bench.carrying() == {"client0", "l41", "client0:right–l41:left", "l72"}
    made.bench.openings = (crossing("l41", "client0", "left", src=VIP, dst="10.0.0.1"),)
    assert "l41" in made.bench.carrying(), "answers count"
    made.bench.openings = (crossing("client0", "l41", dst="10.9.9.9"),)
    assert made.bench.carrying() == {"l72"}, "what goes to no VIP is no traffic of the stack"
    made.bench.openings, made.bench.quiet_ns = (crossing("client0", "l41"),), 2 * bench_module.STEADY_NS
    assert made.bench.carrying() == {"l72"}, "who carried long ago may stand by now"


def test_a_forwarder_is_who_sends_on_what_came_in() -> None:
    seen = [crossing("client0", "edge"), crossing("edge", "l41"), crossing("edge", "l42", dst="10.9.9.9")]
    assert crossed_by(seen, {VIP}) == {"edge"}
    answers = [crossing("l41", "edge", src=VIP, dst="10.0.0.1"), crossing("edge", "client0", src=VIP, dst="10.0.0.1")]
    assert crossed_by(answers, {VIP}) == frozenset(), "who brings answers back needs no route to the VIP"
