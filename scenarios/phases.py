"""One trial from steady state to steady state: control, event, the fault stands, heal, recovery.

It does and records what was done; conclude.py measures and judges.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from probes.child import ProbeError
from probes.drops.counters import Counts, difference
from reports.evidence import schema
from scenarios import standing_watch
from scenarios.back import Back
from scenarios.bench import CONTROL_NS, LOOK_S, Bench, crossed_by
from scenarios.catalogue import Entry
from scenarios.conclude import Concluded, Done, conclude
from scenarios.dropped import count_drops
from scenarios.faults.base import ActionRefused, Fault, FaultFailed
from scenarios.hops import cost_of, measured_hops
from scenarios.losses import Losses
from scenarios.measured import Clock
from scenarios.serving import baseline
from scenarios.timers.timers import Timers
from scenarios.touching import at_element
from scenarios.verdict import Act, Doubt, Heal
from scenarios.waiting import DeadlineMissed, pass_time, wait_until
from topologies.linux.bpf import BpfError
from topologies.linux.wired import Crossing
from topologies.runtime import RuntimeFailure

QUIET_NS = 5_000_000_000  # RFC 6412, Sustained Convergence Validation Time
CAP_NS = 20_000_000_000  # for so long a fault stands at least before loss is called one that has not ended
THRESHOLD_NS = 2_000_000_000  # RFC 6412, Forwarding Delay Threshold: later is lost
EFFECT_S = 8.0
HEAL_S = 45.0
ASKED_S = 3.0  # an idle connection that is asked answers within 2 s, or has broken
PATHS_NS = 200_000_000  # for so long every link is tapped, to see which ways the flows take

FaultAction = Literal["inject", "effective", "heal", "healed"]
Build = Callable[[Bench], Fault]
"""Chooses what to break, of a lab in steady state. Raises NothingCarries where no element that fits carries traffic."""

TROUBLE = (DeadlineMissed, FaultFailed, ProbeError, RuntimeFailure, BpfError)


class NothingCarries(Exception):
    """None of the elements that a scenario could take carries traffic just now: there is nothing to break."""


@dataclass
class Scenario:
    """One trial. `key`: its name in the evidence. `earlier` says why an earlier attempt was unknown; `disturbed`, once it has run,
    whether it is unknown for nothing but too little CPU."""

    bench: Bench
    entry: Entry
    build: Build
    reproduce: Callable[[Fault], str]
    key: str = ""
    earlier: str = ""
    disturbed: bool = False
    _doubts: list[Doubt] = field(default_factory=list)
    _hops: tuple[schema.Hops, ...] = ()
    _hops_cost: schema.HopsCost | None = None

    def __post_init__(self) -> None:
        self.key = self.key or self.entry.name

    # -- recording -------------------------------------------------------------------------------------------------

    def _write(self, data: schema.Data, t_ns: int, acc_ns: int = 0) -> None:
        self.bench.writer.write(data, t_ns=t_ns, acc_ns=acc_ns, scenario=self.key)

    def _phase(
        self, name: schema.PhaseName, target: str, work: Callable[[], str], since_ns: int | None = None
    ) -> str | None:
        """Runs one phase and records it, from `since_ns` on: None, or why it did not come about."""
        start, trouble = time.monotonic_ns() if since_ns is None else since_ns, None
        self.bench.now(f"{self.key}{f' on {target}' if target else ''}: {name}")
        try:
            detail = work()
        except TROUBLE as error:
            detail = trouble = str(error)
        end = time.monotonic_ns()
        if name == "steady":  # what comes after it is of the control window
            start, end = min(start, self.bench.quiet_ns), min(end, self.bench.quiet_ns)
        self._write(schema.Phase(name=name, start_ns=start, end_ns=end, ok=trouble is None, detail=detail), start)
        return trouble

    def _doubt(self, check: str, sentence: str, *, after_heal: bool = False) -> None:
        """What went wrong with the doing and can only hide loss."""
        whole = f"{check.capitalize()}: {sentence}."
        self._doubts.append(Doubt(check, whole, "hides", after_heal=after_heal, no_pass=True))

    # -- doing -----------------------------------------------------------------------------------------------------

    def run(self) -> Concluded:
        """The whole trial. Whatever goes wrong with the doing makes the verdict unknown; the lab is healed all the same.

        Raises NothingCarries before anything is broken.
        """
        bench = self.bench
        if trouble := self._phase("steady", "", bench.settle):
            self._doubt("steady", trouble)
        first = None if bench.baseline else dict(bench.booted.lab.snapshots(list(bench.booted.topology.nodes)))
        fault = self.build(self.bench)
        return _Trial(self, fault, first).run()


@dataclass
class _Trial:
    """The doing of a trial once its fault is chosen. `first`: the stack's routes and addresses before it, in a run's first trial.
    `unseen`: why nobody saw whether the stack came back. `acted_ns`: when the stack's own action had ended, 0: there was none."""

    scenario: Scenario
    fault: Fault
    first: Mapping[str, frozenset[str]] | None
    act: Act = field(default_factory=Act)
    heal: Heal = field(default_factory=Heal)
    event_ns: int = 0
    control_ns: int = 0
    injected: bool = False
    quiet: bool = False
    timers: Timers = field(default_factory=lambda: Timers(()))
    watched: str = ""
    unseen: str = ""
    acted_ns: int = 0

    @property
    def bench(self) -> Bench:
        return self.scenario.bench

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
        self.scenario._write(step, t_ns, spread_ns)

    def run(self) -> Concluded:
        scenario, bench, plan = self.scenario, self.bench, self.fault.plan
        lab, instruments = bench.booted.lab, bench.instruments
        self.act = Act(action=plan.action)
        counters = {v: p.counters() for v, p in instruments.probers.items()}
        self._read_timers()
        bench.read_openings()
        lab.untap(tuple(lab.topology.nodes))
        lab.tap(plan.nodes, plan.links)
        control = self.control_ns = time.monotonic_ns() if bench.per_hop else bench.quiet_ns
        before: list[Crossing] = []
        after: list[Crossing] = []
        if trouble := scenario._phase(
            "control", plan.target, lambda: self._stamped(lambda: self._control(control, before)), control
        ):
            scenario._doubt("control", trouble)
        counts = self._counts()
        losses = Losses(instruments, control, time.monotonic_ns())
        if bench.stale or losses.any_at_rest:
            # an idle one that was opened while a region was away belongs to another since, and shows it when it is asked
            moved = "Something was lost after connections were opened: where idle ones stood at the event is not known."
            scenario._doubts.append(Doubt("openings", moved, "makes", about=frozenset(("idle",)), cpu=True))
        self.event_ns = time.monotonic_ns()
        bench.say(f"{scenario.key}: {plan.verb[0].lower()}{plan.verb[1:]}")
        try:
            if self._do():
                after += self._stand(losses)
        finally:
            heal_ns = time.monotonic_ns()
            at_heal = {v: p.counters() for v, p in instruments.probers.items()}
            self._heal()
            lab.untap(plan.nodes, plan.links)
        self._recover(heal_ns, losses)
        lab.unsight()
        after_all = self._counts()
        self._answered(1)
        over_ns = time.monotonic_ns()
        counted = [d for node, now in after_all.items() for d in difference(node, counts.get(node, {}), now)]
        if overflow := lab.wire.tap_overflow() + bench.overflow:
            full = f"{overflow} flows did not fit into the taps' table"
            # what was touched and not seen to be counts as elsewhere
            scenario._doubts.append(Doubt("taps", f"Taps: {full}.", "makes", where="elsewhere"))
            scenario._doubts.append(Doubt("taps", f"Taps: {full}.", "hides", where="touched"))
        clock = Clock(
            control, self.event_ns, max(heal_ns, self.event_ns), max(over_ns - THRESHOLD_NS, heal_ns), over_ns
        )
        done = Done(
            key=scenario.key,
            entry=scenario.entry,
            plan=plan,
            clock=clock,
            reproduce=scenario.reproduce(self.fault),
            before=tuple(before),
            openings=bench.openings,
            after=tuple(after),
            doubts=tuple(scenario._doubts),
            act=self.act,
            heal=self.heal,
            quiet=self.quiet,
            quiet_ns=QUIET_NS,
            longest_timer_ns=self.timers.stack_ns,
            timers=tuple(self.timers.timers),
            watched=self.watched,
            counters=counters,
            counters_at_heal=at_heal,
            sights=lab.wire.sighted(),
            counted=tuple(counted),
            earlier=scenario.earlier,
            hops=scenario._hops,
            hops_cost=scenario._hops_cost,
        )
        concluded = conclude(done, bench.booted, instruments, bench.writer, bench.begin_renewal)
        scenario.disturbed = concluded.judged.disturbed
        bench.broken = bench.broken or not_whole(self.heal, self.unseen)
        return concluded

    # -- control ---------------------------------------------------------------------------------------------------

    def _control(self, start: int, found: list[Crossing]) -> str:
        bench, lab = self.bench, self.bench.booted.lab
        pass_time(start + CONTROL_NS - PATHS_NS)
        lab.sight()  # from here on, since who answers a flow has to be seen before the event
        plan = self.fault.plan
        found += at_element((c for c in bench.openings if c.seen.last_ns >= start), plan.nodes, plan.links)
        found += self._ways(start)
        if self.first is not None:
            self._first_window(self.first, found)
        return f"{CONTROL_NS / 1e9:g} s without a fault"

    def _read_timers(self) -> None:
        """Before the control window: to read the whole stack takes CPU, the first time of a run."""
        try:
            plan, bench = self.fault.plan, self.bench
            self.timers = Timers.before(bench.booted.lab, plan, process=plan.process or "", kept=bench.kept)
        except TROUBLE as error:
            self.scenario._doubt("timers", f"the stack's timers could not be read: {error}")

    def _first_window(self, first: Mapping[str, frozenset[str]], found: list[Crossing]) -> None:
        """What the stack looks like while it serves, which every later return is held against."""
        bench, lab = self.bench, self.bench.booted.lab
        last = lab.snapshots(list(lab.topology.nodes))
        bench.baseline = baseline((first, last), crossed_by(found, bench.vips), bench.vips, bench.running())

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
        self.scenario._hops = measured_hops(lab, flows, stamps)
        self.scenario._hops_cost = cost_of(cost, (time.monotonic_ns() - start) / 1e9)
        return detail

    def _ways(self, since_ns: int) -> list[Crossing]:
        """Which flows took which links since then; the target's links have been tapped all along, the others only now. They are not
        taken out of the table: flows that are there would be new to the act."""
        lab, plan = self.bench.booted.lab, self.fault.plan
        lab.tap(tuple(lab.topology.nodes))
        pass_time(time.monotonic_ns() + PATHS_NS)
        found = [c for c in lab.tapped() if c.seen.last_ns >= since_ns]
        lab.untap(tuple(lab.topology.nodes))
        lab.tap(plan.nodes, plan.links)
        return found

    # -- the fault -------------------------------------------------------------------------------------------------

    def _do(self) -> bool:
        """Injects the fault and waits for its effect; whether it stands."""
        plan = self.fault.plan
        refused: list[ActionRefused] = []

        def inject() -> str:
            self.injected, self.bench.opened = True, False
            try:
                instant = self.fault.inject()
            except ActionRefused as error:
                refused.append(error)
                raise
            except FaultFailed:
                self.injected = False  # there was nothing to do it to
                raise
            self.acted_ns = time.monotonic_ns() if plan.action else 0
            self.event_ns = instant.before_ns
            self._step("inject", instant.before_ns, spread_ns=instant.spread_ns)
            effect_s = standing_watch.of_an_action_ns(self._contract_watch_ns()) / 1e9 if plan.action else EFFECT_S
            took = wait_until(self.fault.missing_effect, deadline_s=effect_s, what=f"{plan.fault} of {plan.target}")
            self._step("effective", time.monotonic_ns())
            return f"effective {took:.2f} s after it was done"

        trouble = self.scenario._phase("fault", plan.target, inject)
        if refused:
            self.act = replace(self.act, refused=str(refused[0]), late=refused[0].late)
            return refused[0].late
        if trouble is None:
            return True
        if plan.action and (nothing := self._no_effect()):
            self.act = replace(self.act, did_nothing=nothing)
            return True
        self.act = replace(self.act, not_bitten=trouble)
        return False

    def _no_effect(self) -> str:
        """What the fault lacks still; empty where that cannot be told."""
        try:
            return self.fault.missing_effect()
        except TROUBLE:
            return ""

    def _contract_watch_ns(self) -> int:
        return standing_watch.watched_ns(self.bench.booted.contract, self.fault.plan)

    def _watch_ns(self) -> int:
        """For how long the fault is watched at least, from the event on; of an action, from its exit on."""
        watch_ns = self._contract_watch_ns()
        if not self.acted_ns:
            return watch_ns
        return self.acted_ns - self.event_ns + standing_watch.of_an_action_ns(watch_ns)

    def _stand(self, losses: Losses) -> list[Crossing]:
        """The fault stands until it was quiet and its timers are over, or for as long as it may; then half of the idle connections are
        asked. Returns the ways that flows take now."""
        plan, bench = self.fault.plan, self.bench
        watch = standing_watch.Watch(
            losses, self.event_ns, self.timers, bench.booted.lab, quiet_ns=QUIET_NS, watch_ns=self._watch_ns()
        )
        cap_ns = standing_watch.cap_of(
            bench.booted.contract, plan, self.timers.longest_ns, self._watch_ns(), CAP_NS, QUIET_NS
        )

        def stand() -> str:
            left_s = cap_ns / 1e9 - (time.monotonic_ns() - self.event_ns) / 1e9
            try:
                wait_until(watch.missing, deadline_s=max(0.0, left_s), every_s=LOOK_S, what="observation")
            except DeadlineMissed as late:
                return str(late)  # not the instrument's fault: a black hole that does not end is a result
            self.quiet = True
            return f"{QUIET_NS / 1e9:g} s without loss"

        if trouble := self.scenario._phase("observation", plan.target, stand):
            self.scenario._doubt("observation", trouble)
        stood_s = (time.monotonic_ns() - self.event_ns) / 1e9
        self.watched = standing_watch.told(self.timers, stood_s)
        if not self.act.did_nothing and not self.act.refused:
            self._held()  # before idle connections speak: nobody has seen them since they were opened
        self.bench.instruments.ask_idle(0)
        ways = self._ways(time.monotonic_ns())
        self._answered(0)
        return ways

    def _held(self) -> None:
        """Whether the fault held until now."""
        try:
            let_go = self.fault.missing_at_heal()
        except TROUBLE as error:
            let_go = str(error)
        self.act = replace(self.act, let_go=let_go)

    def _answered(self, half: Literal[0, 1]) -> None:
        """Half of the idle connections, which were asked, have answered."""
        instruments = self.bench.instruments
        with contextlib.suppress(DeadlineMissed):  # who has no answer by then has broken, or its process is doubted
            wait_until(lambda: instruments.unasked(half), deadline_s=ASKED_S, what="answers on idle connections")

    # -- the heal --------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        plan = self.fault.plan
        if not self.injected:
            return
        refused: list[ActionRefused] = []

        def heal() -> str:
            self._step("heal", time.monotonic_ns())
            try:
                self.fault.heal()
            except ActionRefused as error:
                refused.append(error)
                return str(error)
            took = wait_until(self.fault.missing_heal, deadline_s=HEAL_S, every_s=LOOK_S, what="heal")
            self._step("healed", time.monotonic_ns(), detail="nothing of ours is left")
            return f"nothing of ours is left, {took:.1f} s after the heal began"

        trouble = self.scenario._phase("heal", plan.target, heal)
        if refused:
            self.heal = replace(self.heal, refused=str(refused[0]))
        elif trouble is not None:
            self.heal = replace(self.heal, ours_left=self.fault.missing_heal() or trouble)

    def _recover(self, heal_ns: int, losses: Losses) -> None:
        """Until the stack serves as before: quiet, routes still, next hops and processes as in the first control window."""
        bench, plan = self.bench, self.fault.plan
        back = Back(bench, losses, heal_ns, QUIET_NS)
        limit_ns = standing_watch.return_limit_ns(bench.booted.contract, plan, self.timers.stack_ns)
        deadline_s = (limit_ns + QUIET_NS) / 1e9 + 1

        def recover() -> str:
            wait_until(back.missing, deadline_s=deadline_s, every_s=LOOK_S, what="recovery")
            return "serves as before"

        trouble = self.scenario._phase("recovery", plan.target, recover)
        bench.instruments.ask_idle(1)
        bench.booted.lab.level()
        if trouble is None:
            self.heal = replace(self.heal, back_ns=max(0, back.since_ns - heal_ns))
            for sentence in back.moved():
                bench.say(f"{self.scenario.key}: {sentence}")
                self.watched = f"{self.watched} {sentence}".strip()
            return
        self.unseen = bench.instruments.missing_sign_of_life()
        missing, doubt = not_back(back.last_words(), self.unseen, trouble, lossy=losses.any_at_rest)
        self.heal = replace(self.heal, back_ns=None, missing=missing)
        if doubt:
            self.scenario._doubts.append(Doubt("recovery", doubt, "blurs", after_heal=True, no_pass=True))


def not_back(last_words: str, unseen: str, trouble: str, *, lossy: bool) -> tuple[str, str]:
    """Of a stack that was not seen to be back in time: what it lacks, or else why nobody can tell whether it is back, a sentence.

    `last_words`: what a node lacks, by its own kernel, whoever measures; `unseen`: which instruments have ended; `trouble`: what was
    waited for; `lossy`: it loses something at rest."""
    if not last_words and unseen:
        return "", unseen
    if not last_words and lossy:
        return (
            "",
            "Something was lost at rest, and is lost after the heal: whether the stack serves as before cannot be told.",
        )
    return last_words or trouble, ""


def not_whole(heal: Heal, unseen: str) -> str:
    """Why no trial may begin on what this one left: something of ours is there, the stack is not back, refused to come back, or nobody
    saw it. Empty where nothing is wrong; loss as at rest is the stack's usual state."""
    return heal.ours_left or heal.missing or heal.refused or unseen
