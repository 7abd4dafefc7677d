"""Whole scenarios on a small lab: each verdict for the reason that it should have."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from reports.evidence.histogram import unpack_histogram
from reports.evidence.near import unpack_near
from reports.evidence.reader import read_evidence
from reports.evidence.schema import ANSWERED, LATE, LOST, Verdict, unpack_per_flow
from reports.evidence.writer import EvidenceWriter
from scenarios import bench as bench_module
from scenarios import boot as boot_module
from scenarios import instruments, phases, schedule, standing_watch
from scenarios.bench import Bench
from scenarios.boot import Booted, boot
from scenarios.catalogue import Entry
from scenarios.faults.base import Fault
from scenarios.faults.crash_process import crash_process
from scenarios.faults.cut_link import cut_link
from scenarios.faults.freeze_process import freeze_process
from scenarios.faults.kill_node import kill_node
from scenarios.faults.placebo import allowing_nothing, placebo
from scenarios.faults.withdraw import withdraw
from scenarios.instruments import Instruments
from scenarios.phases import Scenario
from scenarios.verdict import ends
from tests.scenarios.busy import ATTEMPTS, too_busy
from tests.scenarios.mischief import Hogged, NoPlacebo, SignalledProber, SilencedKill, StalledProber, SteppedClock
from tests.scenarios.stack import write_stack
from topologies.impairment import Impairment
from topologies.oci.destroy import destroy

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

SHORT: Mapping[ModuleType, Mapping[str, float]] = {
    phases: {
        "CONTROL_NS": 1_000_000_000,
        "QUIET_NS": 1_000_000_000,
        "CAP_NS": 3_000_000_000,
        "THRESHOLD_NS": 500_000_000,
    },
    bench_module: {"CONTROL_NS": 1_000_000_000, "STEADY_S": 8.0, "CALM_S": 1.0},
    standing_watch: {"RETURN_NS": 10_000_000_000},
    ends: {"RETURN_NS": 10_000_000_000},
}
INTERVAL_NS = 50_000_000
"""Slower than in real runs: how late a probe may leave is measured by it, and tests share their host with other tests."""

HEARTBEAT_NS = 250_000_000
"""Every connection beats within the shorter control window, else no tap sees which way it goes."""


def shorten(patched: pytest.MonkeyPatch) -> None:
    for module, values in SHORT.items():
        for name, value in values.items():
            patched.setattr(module, name, value)


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """One lab for the module, with shorter phases: what is tested is what they lead to, not how long they last."""
    with pytest.MonkeyPatch.context() as patched:
        shorten(patched)
        for module in (schedule, instruments):
            patched.setattr(module, "INTERVAL_NS", INTERVAL_NS)
        patched.setattr(instruments, "MOST_THINNED", 1)
        patched.setattr(schedule, "HEARTBEAT_NS", HEARTBEAT_NS)
        patched.setattr(schedule, "HEARTBEATS_PER_S_AND_CORE", schedule.HEARTBEATS_PER_S)
        found = boot(write_stack(tmp_path_factory.mktemp("stack"), f"scn{os.getpid()}"))
        yield found
        found.lab.close()
        destroy(found.topology.name)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    return tmp_path / "evidence.jsonl"


@pytest.fixture
def bench(booted: Booted, evidence: Path) -> Iterator[Bench]:
    """Fresh instruments for each test: a prober that was stopped in one must not be doubted in the next."""
    writer = EvidenceWriter(evidence)
    with Instruments(booted) as started:
        yield Bench(booted, started, writer, lambda _: None)
    writer.close()


def played(bench: Bench, fault: Fault, name: str = "tried") -> Verdict:
    entry = Entry(name, "Tried", "node", fault=fault.plan.fault)
    return Scenario(bench, entry, lambda _: fault, lambda _: f"./nospof run {name}").run().verdict


def played_in_peace(bench: Bench, fault: Callable[[], Fault], evidence: Path) -> tuple[str, Verdict]:
    """The scenario's name and verdict, from the first attempt that is not doubted for the host's load alone."""
    for number in range(ATTEMPTS):
        name = f"tried-{number}"
        verdict = played(bench, fault(), name)
        if not too_busy(evidence, name):
            break
    return name, verdict


def not_kept(verdict: Verdict) -> set[str]:
    return {row.what for row in verdict.judged if row.ok is False}


def all_but_half_of_the_idle(verdict: Verdict, evidence: Path, name: str) -> int:
    """How many connections break where all that are asked do: of the idle ones half are asked before the heal."""
    recorded = next(s for s in read_evidence(evidence).scenarios if s.name == name)
    known = Counter((c.use, c.phase) for c in recorded.connections if c.opened_ns < recorded.flows[0].event_ns)
    assert known["busy", None] == 0, known
    asked, waiting = known["idle", "fault"], known["idle", None]
    assert asked > 0
    assert abs(asked - waiting) <= 1, "the other half is asked after the heal, and answers"
    assert verdict.connections == 100
    return 100 - waiting


def reconcile(evidence: Path, name: str) -> None:
    """What the evidence says of its probes in several ways adds up: every answer is in a histogram, every loss has its stamps."""
    recorded = next(s for s in read_evidence(evidence).scenarios if s.name == name)
    lost = 0
    for block in recorded.flows:
        if block.transport in ("http", "request"):
            continue  # of requests no stamps are kept
        states = unpack_per_flow(block)
        answered = sum(state.count(ANSWERED) + state.count(LATE) for state in states)
        assert sum(unpack_histogram(one.histogram).n for one in block.answers) == answered
        near = list(unpack_near(block))
        assert sum(run.state.count(LOST) for run in near) == sum(state.count(LOST) for state in states)
        lost += sum(state.count(LOST) for state in states)
        for one in near:
            state = np.frombuffer(one.state, np.uint8)
            assert not one.run.rx[state == LOST].any()
            assert (one.run.rx[state == ANSWERED] > one.run.due[state == ANSWERED]).all()
            assert (one.run.ttl[state == ANSWERED] > 0).all()
    assert lost > 0


def test_hogged_cpus_make_the_verdict_unknown(bench: Bench) -> None:
    verdict = played(strict(bench), Hogged())
    assert verdict.verdict == "unknown", verdict.headline
    assert "late" in verdict.reason


def test_a_step_of_the_wall_clock_makes_the_verdict_unknown(bench: Bench) -> None:
    """Kernel stamps around it are off by as much, whatever they say of the network."""
    records = bench.booted.lab.places.scratch / f"client-{bench.instruments.thinned}" / "records"
    verdict = played(strict(bench), SteppedClock(records))
    assert verdict.verdict == "unknown", verdict.headline
    stepped = re.search(r"[Tt]he wall clock stepped by ([\d.]+) ms", verdict.reason)
    assert stepped, verdict.reason
    assert float(stepped[1]) == pytest.approx(7, abs=0.2), "what slewing may explain is left out"


def test_a_withdrawal_with_another_way_is_a_pass(bench: Bench, evidence: Path) -> None:
    _, verdict = played_in_peace(bench, lambda: withdraw(bench.booted.lab, bench.booted.contract, "way1"), evidence)
    assert verdict.verdict == "pass", f"{verdict.reason} {verdict.judged}"
    assert 10 <= verdict.touched <= verdict.flows == 51
    assert verdict.broken == 0


def test_a_wire_that_delays_is_in_the_path_of_a_whole_scenario_and_the_report_says_so(
    bench: Bench, evidence: Path
) -> None:
    """On kernels without netem that is the one in user space."""
    lab = bench.booted.lab
    (link,) = lab.topology.links_of("client")
    lab.impair(link, Impairment(delay_ns=2_000_000))
    try:
        name, verdict = played_in_peace(bench, lambda: withdraw(lab, bench.booted.contract, "way1"), evidence)
    finally:
        lab.heal_impairment(link)
    assert verdict.verdict == "pass", f"{verdict.reason} {verdict.judged}"
    recorded = next(s for s in read_evidence(evidence).scenarios if s.name == name)
    told = [check.sentence for check in recorded.trust if check.check == "impairment"]
    assert told
    assert all("in the path" in sentence for sentence in told)
    answered = [one for block in recorded.flows if block.transport == "udp" for one in block.answers]
    assert all(
        (unpack_histogram(one.histogram).quantile_ns(0.5) or 0) >= 4_000_000
        for one in answered
        if one.phase == "control"
    )


def test_a_node_that_carries_nothing_stands_by_and_its_kill_is_a_pass(bench: Bench, evidence: Path) -> None:
    _, verdict = played_in_peace(bench, lambda: kill_node(bench.booted.lab, "spare"), evidence)
    assert verdict.verdict == "pass", f"{verdict.reason} {verdict.judged}"
    assert (verdict.touched, verdict.carried) == (0, False)
    assert "stood by: none of 51 flows" in verdict.reason


def strict(bench: Bench) -> Bench:
    """The same, where nothing may be lost by what breaks nothing."""
    return replace(bench, booted=replace(bench.booted, contract=allowing_nothing(bench.booted.contract)))


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_stopped_or_killed_prober_makes_the_verdict_unknown_and_its_records_are_kept(
    bench: Bench, evidence: Path, number: int
) -> None:
    pid = bench.instruments.probers["client"].pid
    try:
        verdict = played(strict(bench), SignalledProber(pid, number))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert verdict.verdict == "unknown", verdict.headline
    assert "prober of client" in verdict.reason
    (scenario,) = read_evidence(evidence).scenarios
    assert scenario.verdict == verdict
    before = [state for block in scenario.flows if block.transport == "udp" for state in unpack_per_flow(block)]
    assert len(before) == 50
    assert all(ANSWERED in states for states in before), "what was measured until then"


def test_a_killed_prober_hides_no_limit_that_requests_and_connections_broke(bench: Bench) -> None:
    """Its own rows are unknown, and those of others are not."""
    pid = bench.instruments.probers["client"].pid
    verdict = played(bench, SilencedKill(bench.booted, "way2", pid, signal.SIGKILL))
    assert verdict.verdict == "fail", verdict.reason
    assert {"request_fail", "broken"} <= not_kept(verdict)
    (row,) = (r for r in verdict.judged if r.what == "black_hole")
    assert row.state == "unknown"
    assert "prober of client" in row.why


def test_a_prober_that_may_have_missed_an_outage_makes_the_verdict_unknown(bench: Bench) -> None:
    pid = bench.instruments.probers["client"].pid
    verdict = played(strict(bench), StalledProber(pid, 150_000_000))
    assert verdict.verdict == "unknown", verdict.headline
    assert "prober of client did not run for" in verdict.reason


def test_a_placebo_passes_and_one_that_breaks_something_fails(bench: Bench, evidence: Path) -> None:
    _, verdict = played_in_peace(strict(bench), lambda: placebo(["front"]), evidence)
    assert verdict.verdict == "pass", f"{verdict.reason} {verdict.judged}"
    assert verdict.touched == verdict.flows == 51
    _, verdict = played_in_peace(strict(bench), lambda: NoPlacebo(bench.booted, 4 * INTERVAL_NS), evidence)
    assert verdict.verdict == "fail", verdict.reason
    assert "`placebo`" in verdict.reason


def test_a_thinned_run_measures_all_the_same_and_says_how_exactly(
    bench: Bench, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "MOST_THINNED", 2)
    spent = bench.instruments.cpu_seconds()
    assert bench.thin("asked for")
    assert not bench.thin("asked for again")
    assert bench.instruments.cpu_seconds() > spent - 1e-6, "what the denser probers spent is not forgotten"
    _, verdict = played_in_peace(bench, lambda: withdraw(bench.booted.lab, bench.booted.contract, "way1"), evidence)
    assert verdict.verdict == "pass", f"{verdict.reason} {verdict.judged}"
    assert verdict.interval_ms == 2 * INTERVAL_NS / 1e6
    assert 10 <= verdict.touched <= verdict.flows == 51


def test_answers_that_come_late_are_no_calm(bench: Bench) -> None:
    lab, waits = bench.booted.lab, threading.Event()
    # Half a second of one process's silence is late answers to one probe in four of the last two seconds.
    lab.signal("server", "python3", signal.SIGSTOP)
    try:
        waits.wait(0.5)
    finally:
        lab.signal("server", "python3", signal.SIGCONT)
    waits.wait(0.2)
    assert "answers to client come" in bench.instruments.restless()


def test_a_frozen_process_breaks_its_connections_by_stall_and_answers_again_after_the_heal(
    bench: Bench, evidence: Path
) -> None:
    lab, contract = bench.booted.lab, bench.booted.contract
    name, verdict = played_in_peace(bench, lambda: freeze_process(lab, contract, "server", "python3"), evidence)
    assert verdict.verdict == "fail", verdict.reason
    assert not_kept(verdict) == {"black_hole", "request_fail", "ended"}, (
        "connections that ended at the frozen process are its own"
    )
    (client,) = verdict.vantages
    broken = all_but_half_of_the_idle(verdict, evidence, name)
    assert (client.broken, client.stall) == (broken, broken)
    assert verdict.black_hole_ms.censored == 50, "datagrams are not answered until the heal; pings are, by the kernel"
    assert verdict.died is not None
    assert verdict.died.lost == verdict.died.attributed > 0
    assert {c.node for c in verdict.died.causes if c.source != "answer"} == {"server"}, verdict.died
    recorded = next(s for s in read_evidence(evidence).scenarios if s.name == name)
    assert [fault.data.action for fault in recorded.faults][-1] == "healed"


def steps(evidence: Path, name: str) -> list[str]:
    recorded = next(s for s in read_evidence(evidence).scenarios if s.name == name)
    return [fault.data.action for fault in recorded.faults]


def test_a_crashed_process_resets_its_connections_and_its_node_is_restarted_by_the_heal(
    bench: Bench, evidence: Path
) -> None:
    lab, contract = bench.booted.lab, bench.booted.contract
    name, verdict = played_in_peace(bench, lambda: crash_process(lab, contract, "server", "python3"), evidence)
    assert verdict.verdict == "fail", verdict.reason
    assert not_kept(verdict) == {"black_hole", "request_fail", "ended"}, (
        "connections that ended at the crashed process are its own"
    )
    (client,) = verdict.vantages
    assert (client.broken, client.stall) == (100, 0), "whose process is gone is told by its kernel"
    assert verdict.black_hole_ms.censored == 50
    assert steps(evidence, name) == ["inject", "effective", "heal", "healed"]


@pytest.mark.parametrize("carrier_lost", [False, True])
def test_a_cut_of_one_of_two_ways_loses_what_goes_over_it_until_the_heal(
    bench: Bench, evidence: Path, carrier_lost: bool
) -> None:
    lab = bench.booted.lab
    (link,) = (one for one in lab.topology.links_of("way1") if one.end_beyond("way1").node == "front")
    name, verdict = played_in_peace(bench, lambda: cut_link(lab, link, carrier_lost=carrier_lost), evidence)
    # the routes are static: with carrier lost front turns to the other way, but answers still come by this one
    assert verdict.verdict == "fail", verdict.reason
    assert "black_hole" in not_kept(verdict)
    assert 0 < verdict.black_hole_ms.censored <= verdict.touched < verdict.flows
    assert verdict.elsewhere_black_hole_ms == 0
    assert steps(evidence, name) == ["inject", "effective", "heal", "healed"]
    assert all(lab.carriers(link))
    reconcile(evidence, name)


def test_a_service_that_speaks_another_protocol_is_named_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Path
) -> None:
    monkeypatch.setattr(boot_module, "CONVERGED_WITHIN_S", 4.0)
    shorten(monkeypatch)
    lab = f"grt{os.getpid()}"
    said: list[str] = []
    booted = boot(write_stack(tmp_path, lab, web="greeting"), say=said.append)
    try:
        assert list(booted.unreached) == [("client", "web", "203.0.113.10")]
        assert any(
            "going on with the rest" in line and "web 203.0.113.10 (ConnectionError: no answer by HTTP/1.1" in line
            for line in said
        )
        writer = EvidenceWriter(evidence)
        with Instruments(booted) as started:
            verdict = played(
                Bench(booted, started, writer, lambda _: None), withdraw(booted.lab, booted.contract, "way1")
            )
        writer.close()
    finally:
        booted.lab.close()
        destroy(lab)
    assert verdict.verdict == "unknown", "a part of what was promised was not there to be measured"
    assert "client → web 203.0.113.10 (ConnectionError: no answer by HTTP/1.1" in verdict.reason
    assert verdict.flows == 50, "the other service was"


def test_a_frozen_tcp_service_whose_kernel_accepts_fails_by_what_it_is_expected_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Path
) -> None:
    """No SYN is lost: only whoever asks learns that nobody is there."""
    shorten(monkeypatch)
    lab = f"wrd{os.getpid()}"
    booted = boot(write_stack(tmp_path, lab, web="words"))
    try:
        writer = EvidenceWriter(evidence)
        with Instruments(booted) as started:
            bench = Bench(booted, started, writer, lambda _: None)
            _, kept = played_in_peace(bench, lambda: withdraw(booted.lab, booted.contract, "way1"), evidence)
            frozen = freeze_process(booted.lab, booted.contract, "server", "python3")
            verdict = played(bench, frozen, "frozen")
        writer.close()
    finally:
        booted.lab.close()
        destroy(lab)
    assert kept.verdict == "pass", f"{kept.reason} {kept.judged}"
    assert "request_fail" in {row.what for row in kept.judged if row.ok}
    assert verdict.verdict == "fail", verdict.reason
    # those of the last 2 s before the heal are answered in time, after it
    assert "request_fail" in not_kept(verdict) <= {"request_fail", "ended"}, verdict.judged
    (asked,) = verdict.new_requests
    assert (asked.service, asked.touched) == ("web", True)
    assert asked.failed > 0
    assert verdict.new_connections[0].accepted == verdict.new_connections[0].attempts
    recorded = next(s for s in read_evidence(evidence).scenarios if s.name == "frozen")
    (block,) = (b for b in recorded.flows if b.transport == "request")
    (states,) = unpack_per_flow(block)
    assert states.count(LOST) + states.count(LATE) >= asked.failed
    assert states.count(ANSWERED) > 20


def test_a_vantage_that_reached_nothing_from_the_start_is_named_and_the_others_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Path
) -> None:
    monkeypatch.setattr(boot_module, "CONVERGED_WITHIN_S", 4.0)
    shorten(monkeypatch)
    lab = f"far{os.getpid()}"
    topology = write_stack(tmp_path, lab)
    alone = "    lonely: {labels: {nospof.role: client, nospof.region: two}}\n"
    linked = '    - {endpoints: ["lonely:eth1", "front:eth5"], mtu: 1500}\n'  # and no address at either end
    topology.write_text(topology.read_text().replace("  nodes:\n", f"  nodes:\n{alone}") + linked)
    booted = boot(topology)
    try:
        assert set(booted.unreached) == {("lonely", "web", "203.0.113.10"), ("lonely", "echo", "203.0.113.20")}
        writer = EvidenceWriter(evidence)
        with Instruments(booted) as started:
            assert list(started.probers) == ["client"]
            verdict = played(
                Bench(booted, started, writer, lambda _: None), withdraw(booted.lab, booted.contract, "way1")
            )
        writer.close()
    finally:
        booted.lab.close()
        destroy(lab)
    assert verdict.verdict == "unknown", "a vantage that saw nothing proves nothing"
    assert "lonely → web 203.0.113.10" in verdict.reason
    assert verdict.flows == 51, "the other one measured"


def test_the_trial_after_a_fault_has_connections_of_its_own_and_a_control_window_that_begins_with_them(
    bench: Bench, evidence: Path
) -> None:
    played(bench, kill_node(bench.booted.lab, "front"), "first")
    assert not bench.opened, "what it left stands where no new one may be put"
    verdict = played(bench, withdraw(bench.booted.lab, bench.booted.contract, "way1"), "second")
    first, second = read_evidence(evidence).scenarios
    event_ns = second.flows[0].event_ns
    held = [c for c in second.connections if c.opened_ns < event_ns]
    assert len(held) == verdict.connections == 100, "those that were left for them are in no trial"
    assert min(c.opened_ns for c in held) > first.flows[0].t1_ns
    assert all(c.closed_ns is None or c.closed_ns >= event_ns for c in held)
    lasted = {one.name: one for one in second.phases}
    assert lasted["steady"].end_ns <= lasted["control"].start_ns == second.flows[0].t0_ns
    assert lasted["control"].end_ns - lasted["control"].start_ns >= bench_module.CONTROL_NS


def test_a_kill_of_the_only_way_fails_and_the_heal_brings_everything_back(bench: Bench, evidence: Path) -> None:
    name, verdict = played_in_peace(bench, lambda: kill_node(bench.booted.lab, "front"), evidence)
    assert verdict.verdict == "fail", verdict.reason
    assert verdict.touched == 51
    assert {"black_hole", "broken"} <= not_kept(verdict)
    assert "front" in verdict.reason
    assert "`kill-node`" in verdict.reason
    assert verdict.black_hole_ms.censored == 51
    assert verdict.broken == all_but_half_of_the_idle(verdict, evidence, name)
    assert verdict.convergence is not None
    assert verdict.convergence.time.high_ms is None, "it was the heal that ended it"
    assert verdict.failover is None
    reconcile(evidence, name)
    bench.instruments.renew()
    assert {c.open_count() for c in bench.instruments.connections.values()} == {100}
    assert next(s for s in read_evidence(evidence).scenarios if s.name == name).verdict == verdict
