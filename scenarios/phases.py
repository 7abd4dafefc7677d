"""One scenario from steady state to steady state: control, fault, observation, heal, recovery.

It does and records; verdict.py judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from probes.flows import FlowWindow
from probes.readings import read_connections, read_cpu_pressure, read_prober
from probes.trust import TrustCheck, TrustInput, check_trust
from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.boot import Booted
from scenarios.faults.base import Fault, FaultFailed
from scenarios.instruments import INTERVAL_NS, Instruments, QuietFor
from scenarios.measured import (
    Clock,
    Measured,
    classify_connection,
    elsewhere_ns,
    longest_ns,
    measure_flow,
    vantage_figures,
)
from scenarios.record import TCP, UDP, crossed, write_connections, write_flows, write_trust
from scenarios.verdict import judge
from scenarios.waiting import DeadlineMissed, pass_time, wait_until
from topologies.oci.bpf import BpfError
from topologies.oci.wire import Flow
from topologies.runtime import RuntimeFailure

CONTROL_NS = 5_000_000_000
QUIET_NS = 5_000_000_000  # RFC 6412, Sustained Convergence Validation Time
THRESHOLD_NS = 2_000_000_000  # RFC 6412, Forwarding Delay Threshold: later is lost
STEADY_S = 30.0
EFFECT_S = 8.0
OBSERVE_S = 20.0
HEAL_S = 45.0
SETTLE_GAP_NS = 300_000_000

Say = Callable[[str], None]
FaultAction = Literal["inject", "effective", "heal", "healed"]


@dataclass
class Bench:
    """What every scenario of a run shares."""

    booted: Booted
    instruments: Instruments
    writer: EvidenceWriter
    say: Say
    verdicts: list[schema.Verdict] = field(default_factory=list)


@dataclass
class Scenario:
    """One run of one fault. `doubts` are things that went wrong with the doing, each a sentence."""

    bench: Bench
    name: str
    title: str
    fault: Fault
    reproduce: str
    doubts: list[TrustCheck] = field(default_factory=list)
    effective: bool = False
    healed: bool = False

    # -- recording -------------------------------------------------------------------------------------------------

    def _write(self, data: schema.Data, t_ns: int, acc_ns: int = 0) -> None:
        self.bench.writer.write(data, t_ns=t_ns, acc_ns=acc_ns, scenario=self.name)

    def _phase(self, name: schema.PhaseName, work: Callable[[], str]) -> bool:
        """Runs one phase and records it. `work` returns a detail and raises when the phase did not come about."""
        start, ok = time.monotonic_ns(), True
        try:
            detail = work()
        except (DeadlineMissed, FaultFailed, RuntimeFailure, BpfError) as error:
            detail, ok = str(error), False
        self._write(schema.Phase(name=name, start_ns=start, end_ns=time.monotonic_ns(), ok=ok, detail=detail), start)
        return ok if ok else self._doubt(name, detail)

    def _doubt(self, check: str, sentence: str) -> bool:
        self.doubts.append(
            TrustCheck(
                check=check, ok=False, value=None, limit=None, unit="", sentence=f"{check.capitalize()}: {sentence}."
            )
        )
        return False

    def _step(self, action: FaultAction, t_ns: int, ok: bool, spread_ns: int = 0, detail: str = "") -> None:
        plan = self.fault.plan
        self._write(
            schema.Fault(
                action=action,
                fault=plan.fault,
                target=plan.target,
                role=plan.role,
                nodes=plan.nodes,
                spread_ns=spread_ns,
                ok=ok,
                detail=detail,
            ),
            t_ns,
            spread_ns,
        )

    # -- doing -----------------------------------------------------------------------------------------------------

    def run(self) -> schema.Verdict:
        """The whole scenario. Whatever goes wrong with the doing makes the verdict unknown; the lab is healed all the same."""
        lab, plan = self.bench.booted.lab, self.fault.plan
        self.counters = {v: p.counters() for v, p in self.bench.instruments.probers.items()}
        self._phase("steady", self._steady)
        self.before = dict(lab.snapshots(list(lab.topology.nodes)))
        lab.tap_nodes(plan.nodes)
        control = time.monotonic_ns()
        self._phase("control", lambda: self._control(control))
        seen = {flow for (_, flow) in lab.wire.tapped()}
        if lab.wire.tap_overflow():
            self._doubt("taps", f"{lab.wire.tap_overflow()} flows did not fit into the taps' table")
        self.event_ns = time.monotonic_ns()
        self.injected = False
        self.bench.say(f"{self.name}: {plan.verb.lower()}")
        try:
            if self._phase("fault", self._inject):
                self._phase("observation", self._observe)
        finally:
            heal_ns = time.monotonic_ns()
            self._phase("heal", self._heal)
            lab.untap_nodes(plan.nodes)
        self._phase("recovery", self._recover)
        end_ns = time.monotonic_ns() - THRESHOLD_NS
        clock = Clock(control, self.event_ns, max(heal_ns, self.event_ns), max(end_ns, heal_ns))
        verdict = self._judge(clock, seen)
        self.bench.verdicts.append(verdict)
        return verdict

    def _steady(self) -> str:
        start = time.monotonic_ns()
        instruments = self.bench.instruments
        took = wait_until(
            lambda: (
                instruments.unsteady(max(start, time.monotonic_ns() - 1_000_000_000))
                if time.monotonic_ns() - start > 500_000_000
                else "starting"
            ),
            deadline_s=STEADY_S,
            what="steady state",
        )
        return f"steady after {took:.1f} s"

    def _control(self, start: int) -> str:
        pass_time(start + CONTROL_NS)
        return f"{CONTROL_NS / 1e9:g} s without a fault"

    def _inject(self) -> str:
        self.injected = True
        instant = self.fault.inject()
        self.event_ns = instant.before_ns
        self._step("inject", instant.before_ns, ok=True, spread_ns=instant.spread_ns)
        took = wait_until(
            self.fault.missing_effect, deadline_s=EFFECT_S, what=f"{self.fault.plan.fault} of {self.fault.plan.target}"
        )
        self.effective = True
        self._step("effective", time.monotonic_ns(), ok=True)
        return f"effective {took:.2f} s after it was done"

    def _observe(self) -> str:
        quiet = QuietFor(self.bench.instruments, self.event_ns, QUIET_NS)
        try:
            wait_until(quiet.missing, deadline_s=OBSERVE_S, what="observation")
        except DeadlineMissed as late:
            return str(late)  # not the instrument's fault: a black hole that does not end is a result, and censored
        return f"{QUIET_NS / 1e9:g} s without an impaired probe"

    def _heal(self) -> str:
        if not self.injected:
            return "nothing to heal"
        escaped = self.fault.missing_at_heal() if self.effective else ""
        if escaped:
            self.effective = False
            self._doubt("fault", f"the fault did not hold until its heal: {escaped}")
        self._step("heal", time.monotonic_ns(), ok=True)
        self.fault.heal()
        took = wait_until(self._unhealed, deadline_s=HEAL_S, every_s=0.5, what="heal")
        self.healed = True
        self._step(
            "healed",
            time.monotonic_ns(),
            ok=True,
            detail="addresses, routes, qdiscs and programs of every node are as before",
        )
        return f"every node is as it was before, {took:.1f} s after the heal began"

    def _unhealed(self) -> str:
        lab, broken = self.bench.booted.lab, self.fault.plan.nodes
        # The broken ones first, and no further than the first that differs: a look at every node, again and again, would
        # take CPU from the probers.
        for node in (*broken, *(n for n in lab.topology.nodes if n not in broken)):
            lines = sorted(self.before[node] ^ lab.snapshot(node))
            if lines:
                return f"{node} is not as before: {'; '.join(lines[:3])}"
        return ""

    def _recover(self) -> str:
        start = time.monotonic_ns()
        quiet = QuietFor(self.bench.instruments, start, QUIET_NS)
        wait_until(
            lambda: quiet.missing() or self.bench.instruments.unsteady(time.monotonic_ns() - 1_000_000_000),
            deadline_s=STEADY_S,
            what="recovery",
        )
        return "steady again"

    # -- judging ---------------------------------------------------------------------------------------------------

    def _measure(self, clock: Clock, seen: set[Flow], windows: Mapping[str, FlowWindow]) -> Measured:
        flows = []
        for window in windows.values():
            for trace in window.flows:
                f = trace.flow
                flows.append(measure_flow(trace, clock, touched=crossed(seen, f.src, f.sport, f.dst, f.dport, UDP)))
        connections = []
        for held in self.bench.instruments.connections.values():
            for r in held.records():
                touched = crossed(seen, r.src, r.sport, r.dst, r.dport, TCP)
                found = classify_connection(r, clock, touched=touched, failed=self.fault.plan.nodes)
                if found:
                    connections.append(found)
        return Measured(INTERVAL_NS, tuple(flows), tuple(connections))

    def _judge(self, clock: Clock, seen: set[Flow]) -> schema.Verdict:
        plan = self.fault.plan
        contract = self.bench.booted.contract
        windows = {v: p.window(clock.control_ns, clock.end_ns) for v, p in self.bench.instruments.probers.items()}
        measured = self._measure(clock, seen, windows)
        backends = {v: w.backends for v, w in windows.items()}
        given = TrustInput(
            probers=tuple(
                read_prober(p, windows[v], self.counters[v]) for v, p in self.bench.instruments.probers.items()
            ),
            connections=tuple(
                read_connections(c, clock.control_ns, clock.end_ns) for c in self.bench.instruments.connections.values()
            ),
            control_lost=measured.control_lost,
            control_broken=len(measured.broken(phase="control")),
            touched_flows=len(measured.touched),
            touched_connections=sum(1 for c in measured.established if c.touched)
            if self.bench.instruments.connections
            else None,
            fault_effective=self.effective,
            healed=self.healed,
            cpu_pressure=read_cpu_pressure(),
        )
        checks = (*self.doubts, *check_trust(given))
        budget = contract.budget(plan.fault, plan.role)
        judged = judge(
            plan,
            measured,
            budget,
            contract.budget_name(plan.fault, plan.role),
            checks,
            (clock.event_ns - clock.control_ns) / 1e9,
        )
        write_flows(self.bench.writer, self.name, measured, clock, backends)
        write_connections(self.bench.writer, self.name, measured)
        write_trust(self.bench.writer, self.name, checks, clock.end_ns)
        lateness = np.concatenate([w.lateness() for w in windows.values()]) if windows else np.zeros(0)
        untouched = elsewhere_ns(measured)
        worst, all_ms = longest_ns(measured.touched), [f.fault.black_hole_ns / 1e6 for f in measured.touched]
        verdict = schema.Verdict(
            scenario=self.name,
            title=self.title,
            fault=plan.fault,
            target=plan.target,
            element=f"{plan.role} node {plan.target}" if plan.role else f"region {plan.target}",
            verdict=judged.verdict,
            reason=judged.reason,
            headline=judged.headline,
            interval_ms=INTERVAL_NS / 1e6,
            flows=len(measured.flows),
            touched=len(measured.touched),
            lateness_p99_ms=round(float(np.percentile(lateness, 99)) / 1e6, 3) if lateness.size else None,
            black_hole_ms=schema.BlackHole(
                max=None if worst is None else worst / 1e6,
                p99=sorted(all_ms)[int(np.ceil(0.99 * len(all_ms))) - 1] if len(all_ms) >= 100 else None,
                censored=sum(1 for f in measured.touched if f.fault.censored),
            ),
            elsewhere_black_hole_ms=None if untouched is None else untouched / 1e6,
            connections=len(measured.established),
            broken=len(measured.broken()),
            reversion=schema.Reversion(lost=measured.reversion_lost, broken=measured.reversion_broken),
            vantages=vantage_figures(measured, [v.name for v in self.bench.booted.topology.nodes_with_role("client")]),
            judged=judged.judgements,
            reproduce=self.reproduce,
        )
        self._write(verdict, time.monotonic_ns())
        return verdict


def unused(path: Path) -> Path:
    """The path, or the first `path-2`, `path-3`… that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
