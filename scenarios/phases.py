"""One scenario from steady state to steady state: control, fault, observation, heal, recovery.

It does and records what was done; conclude.py measures and judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from probes.child import ProbeError
from probes.drops.counters import Counts, difference
from probes.trust import TrustCheck
from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.boot import Booted
from scenarios.catalogue import Entry
from scenarios.conclude import Done, conclude
from scenarios.dropped import count_drops
from scenarios.faults.base import Fault, FaultFailed
from scenarios.hops import cost_of, measured_hops
from scenarios.instruments import Instruments, QuietFor
from scenarios.measured import Clock
from scenarios.waiting import DeadlineMissed, pass_time, wait_until
from topologies.linux.bpf import BpfError
from topologies.linux.wired import Crossing
from topologies.runtime import RuntimeFailure

CONTROL_NS = 5_000_000_000
QUIET_NS = 5_000_000_000  # RFC 6412, Sustained Convergence Validation Time
THRESHOLD_NS = 2_000_000_000  # RFC 6412, Forwarding Delay Threshold: later is lost
STEADY_S = 30.0
CALM_S = 10.0  # for so long the host may be given time to calm down, after a boot for instance
EFFECT_S = 8.0
OBSERVE_S = 20.0
HEAL_S = 45.0
NODES_PER_LOOK = 12
LOOK_S = 0.25  # between two looks at whether all is quiet: looking takes CPU from what is looked at
PATHS_NS = 200_000_000  # for so long every link is tapped, to see which ways the flows take

Say = Callable[[str], None]
FaultAction = Literal["inject", "effective", "heal", "healed"]


@dataclass
class Bench:
    """What every scenario of a run shares."""

    booted: Booted
    instruments: Instruments
    writer: EvidenceWriter
    say: Say
    now: Say = lambda _: None
    per_hop: bool = False
    verdicts: list[schema.Verdict] = field(default_factory=list)

    def calm(self, deadline_s: float) -> None:
        """Gives a busy host time, then fewer probes to carry and as much time again. Whether that was enough, trust will tell."""
        try:
            wait_until(self.instruments.restless, deadline_s=deadline_s, every_s=2 * LOOK_S, what="calm")
        except DeadlineMissed as busy:
            if self.thin(str(busy)):
                self.calm(deadline_s)

    def thin(self, why: str) -> bool:
        """Fewer probes from here on, said with its reason; False where no less would be of use. Raises ProbeError."""
        thinner = self.instruments.thin()
        if thinner:
            self.say(
                f"the host does not carry all probes: one every {self.instruments.interval_ns / 1e6:g} ms now ({why})"
            )
        return thinner


@dataclass
class Scenario:
    """One run of one fault. `doubts` are things that went wrong with the doing, each a sentence. `earlier` says why a first try
    was unknown; `disturbed`, once it has run, whether it is unknown for nothing but too little CPU."""

    bench: Bench
    entry: Entry
    fault: Fault
    reproduce: str
    doubts: list[TrustCheck] = field(default_factory=list)
    effective: bool = False
    healed: bool = False
    injected: bool = False
    earlier: str = ""
    disturbed: bool = False
    hops: tuple[schema.Hops, ...] = ()
    hops_cost: schema.HopsCost | None = None
    _pending: list[str] = field(default_factory=list)

    # -- recording -------------------------------------------------------------------------------------------------

    def _write(self, data: schema.Data, t_ns: int, acc_ns: int = 0) -> None:
        self.bench.writer.write(data, t_ns=t_ns, acc_ns=acc_ns, scenario=self.entry.name)

    def _phase(self, name: schema.PhaseName, work: Callable[[], str]) -> bool:
        """Runs one phase and records it. `work` returns a detail and raises when the phase did not come about."""
        start, ok = time.monotonic_ns(), True
        self.bench.now(f"{self.entry.name} on {self.fault.plan.target}: {name}")
        try:
            detail = work()
        except (DeadlineMissed, FaultFailed, ProbeError, RuntimeFailure, BpfError) as error:
            detail, ok = str(error), False
        self._write(schema.Phase(name=name, start_ns=start, end_ns=time.monotonic_ns(), ok=ok, detail=detail), start)
        return ok if ok else self._doubt(name, detail)

    def _doubt(self, check: str, sentence: str) -> bool:
        whole = f"{check.capitalize()}: {sentence}."
        self.doubts.append(TrustCheck(check=check, ok=False, value=None, limit=None, unit="", sentence=whole))
        return False

    def _step(self, action: FaultAction, t_ns: int, spread_ns: int = 0, detail: str = "") -> None:
        plan = self.fault.plan
        step = schema.Fault(
            action=action,
            fault=plan.fault,
            target=plan.target,
            role=plan.role,
            nodes=plan.nodes,
            links=tuple(map(str, plan.links)),
            spread_ns=spread_ns,
            ok=True,
            detail=detail,
        )
        self._write(step, t_ns, spread_ns)

    # -- doing -----------------------------------------------------------------------------------------------------

    def run(self) -> schema.Verdict:
        """The whole scenario. Whatever goes wrong with the doing makes the verdict unknown; the lab is healed all the same."""
        lab, plan = self.bench.booted.lab, self.fault.plan
        instruments = self.bench.instruments
        if unreached := self.bench.booted.unreached.values():
            self._doubt("vantage", f"what does not answer: {'; '.join(unreached)}")
        self._phase("steady", self._steady)
        counters = {v: p.counters() for v, p in instruments.probers.items()}
        self.snapshots = dict(lab.snapshots(list(lab.topology.nodes)))
        lab.wire.forget_taps()
        lab.tap(plan.nodes, plan.links)
        control = time.monotonic_ns()
        before: list[Crossing] = []
        after: list[Crossing] = []
        self._phase("control", lambda: self._stamped(lambda: self._control(control, before)))
        counts = self._counts()
        self.event_ns = time.monotonic_ns()
        self.bench.say(f"{self.entry.name}: {plan.verb[0].lower()}{plan.verb[1:]}")
        try:
            if self._phase("fault", self._inject) and self._phase("observation", self._observe):
                after += self._ways(time.monotonic_ns())
        finally:
            heal_ns = time.monotonic_ns()
            self._phase("heal", self._heal)
            lab.untap(plan.nodes, plan.links)
        self._phase("recovery", self._recover)
        lab.unsight()
        end_ns = time.monotonic_ns() - THRESHOLD_NS
        after_all = self._counts()
        counted = [d for node, now in after_all.items() for d in difference(node, counts.get(node, {}), now)]
        if lab.wire.tap_overflow():
            self._doubt("taps", f"{lab.wire.tap_overflow()} flows did not fit into the taps' table")
        clock = Clock(control, self.event_ns, max(heal_ns, self.event_ns), max(end_ns, heal_ns))
        done = Done(
            self.entry,
            plan,
            clock,
            self.reproduce,
            tuple(before),
            tuple(after),
            tuple(self.doubts),
            self.effective,
            self.healed,
            counters,
            lab.wire.sighted(),
            tuple(counted),
            self.earlier,
            self.hops,
            self.hops_cost,
        )
        concluded = conclude(done, self.bench.booted, instruments, self.bench.writer)
        self.disturbed = concluded.disturbed
        self.bench.verdicts.append(concluded.verdict)
        return concluded.verdict

    def _steady(self) -> str:
        instruments = self.bench.instruments
        self.bench.calm(CALM_S)  # a host that is too busy to open connections is given less to do first
        instruments.renew()
        start = time.monotonic_ns()
        took = wait_until(
            lambda: (
                instruments.unsteady(max(start, time.monotonic_ns() - 1_000_000_000))
                if time.monotonic_ns() - start > 500_000_000
                else "starting"
            ),
            deadline_s=STEADY_S,
            every_s=LOOK_S,
            what="steady state",
        )
        self.bench.calm(CALM_S)
        return f"steady after {took:.1f} s; probes every {instruments.interval_ns / 1e6:g} ms"

    def _control(self, start: int, found: list[Crossing]) -> str:
        pass_time(start + CONTROL_NS - PATHS_NS)
        self.bench.booted.lab.sight()  # from here on, since who answers a flow has to be seen before the event
        found += self._ways(start)
        return f"{CONTROL_NS / 1e9:g} s without a fault"

    def _counts(self) -> dict[str, Counts]:
        """Every node's counters of drops, where the kernel does not tell single ones."""
        dropped, lab = self.bench.instruments.dropped, self.bench.booted.lab
        if dropped is None or dropped.tells:
            return {}
        return count_drops({node: lab.netns(node) for node in lab.topology.nodes})

    def _stamped(self, work: Callable[[], str]) -> str:
        """The work, and meanwhile some probes stamped at every link where that was asked for."""
        if not self.bench.per_hop:
            return work()
        lab, start = self.bench.booted.lab, time.monotonic_ns()
        with lab.stamp() as stamping:
            detail = work()
            stamps, cost = stamping.read(), stamping.cost()
        flows = [flow for prober in self.bench.instruments.probers.values() for flow in prober.flows]
        self.hops = measured_hops(lab, flows, stamps)
        self.hops_cost = cost_of(cost, (time.monotonic_ns() - start) / 1e9)
        return detail

    def _ways(self, since_ns: int) -> list[Crossing]:
        """Which flows took which links since then; the target's links have been tapped all along, the others only now."""
        lab, plan = self.bench.booted.lab, self.fault.plan
        lab.tap(tuple(lab.topology.nodes))
        pass_time(time.monotonic_ns() + PATHS_NS)
        found = [c for c in lab.tapped() if c.seen.last_ns >= since_ns]
        lab.untap(tuple(lab.topology.nodes))
        lab.tap(plan.nodes, plan.links)
        return found

    def _inject(self) -> str:
        self.injected = True
        instant = self.fault.inject()
        self.event_ns = instant.before_ns
        self._step("inject", instant.before_ns, spread_ns=instant.spread_ns)
        took = wait_until(
            self.fault.missing_effect, deadline_s=EFFECT_S, what=f"{self.fault.plan.fault} of {self.fault.plan.target}"
        )
        self.effective = True
        self._step("effective", time.monotonic_ns())
        return f"effective {took:.2f} s after it was done"

    def _observe(self) -> str:
        quiet = QuietFor(self.bench.instruments, self.event_ns, QUIET_NS)
        try:
            wait_until(quiet.missing, deadline_s=OBSERVE_S, every_s=LOOK_S, what="observation")
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
        self._step("heal", time.monotonic_ns())
        self.fault.heal()
        broken = self.fault.plan.nodes
        self._pending = [*broken, *(n for n in self.bench.booted.lab.topology.nodes if n not in broken)]
        took = wait_until(self._unhealed, deadline_s=HEAL_S, every_s=LOOK_S, what="heal")
        self.healed = True
        self._step(
            "healed", time.monotonic_ns(), detail="addresses, routes, qdiscs and programs of every node are as before"
        )
        return f"every node is as it was before, {took:.1f} s after the heal began"

    def _unhealed(self) -> str:
        # A few nodes at each look, the broken ones first, and each until it is as before: a look at thousands of routes takes
        # CPU that the lab needs just then.
        lab = self.bench.booted.lab
        for node in self._pending[:NODES_PER_LOOK]:
            lines = sorted(self.snapshots[node] ^ lab.snapshot(node))
            if lines:
                return f"{node} is not as before: {'; '.join(lines[:3])}"
            self._pending.remove(node)
        if self._pending:
            return f"{len(self._pending)} nodes were not looked at yet"
        return self.fault.missing_heal()

    def _recover(self) -> str:
        start = time.monotonic_ns()
        # Connections that beat less often show later what the heal broke; what counts ends a threshold before now.
        quiet = QuietFor(self.bench.instruments, start, QUIET_NS + self.bench.instruments.slower_ns)
        wait_until(
            lambda: quiet.missing() or self.bench.instruments.unsteady(time.monotonic_ns() - 1_000_000_000),
            deadline_s=STEADY_S,
            every_s=LOOK_S,
            what="recovery",
        )
        return "steady again"


def unused(path: Path) -> Path:
    """The path, or the first `path-2`, `path-3`… that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
