"""Watches a fault that stands: what is lost meanwhile, and which timers still run. It decides by verdict.standing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probes.failing import stretches
from probes.flows import ANSWERED, NOT_SENT, FlowTrace
from probes.requests import RequestTrace
from scenarios.faults.base import FaultPlan
from scenarios.instruments import GRACE_NS, Instruments
from scenarios.timers.timers import Timers
from scenarios.verdict.ends import RETURN_AFTER_TIMER_NS, RETURN_NS
from scenarios.verdict.standing import AtRest, Seen, Stretch, cap_ns, missing
from topologies.budget import Judging, effective_limits
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab

CLOSER_LOOK_S = 1.0
"""Where there is loss at rest, every probe has to be looked at: that takes CPU, and is done so seldom."""


def judging_of(contract: Contract, plan: FaultPlan) -> tuple[Judging, ...]:
    """The budgets that a fault is held against: of a link those of both its ends, where an end without one leaves it to the other."""
    found = (contract.judged_by(plan.fault, role) for role in _roles(plan))
    return tuple({j.name: j for j in found if j is not None}.values())


def _roles(plan: FaultPlan) -> tuple[str | None, ...]:
    return tuple(dict.fromkeys((plan.role, plan.other_role) if plan.links else (plan.role,)))


def watched_ns(contract: Contract, plan: FaultPlan) -> int:
    """For how long the contract wants the fault watched at least, ns, of a link by either end; 0 where it says nothing."""
    return max(contract.watched_ns(plan.fault, role) or 0 for role in _roles(plan))


def cap_of(contract: Contract, plan: FaultPlan, timers_ns: int, watch_ns: int, shortest_ns: int, quiet_ns: int) -> int:
    """For how long the fault stands at most, ns."""
    requests = contract.answers_requests
    limits = [effective_limits(j.budget, plan.planned, requests=requests) for j in judging_of(contract, plan)]
    longest = max((limit.longest_ns for limit in limits), default=0)
    return cap_ns(timers_ns, watch_ns, longest, shortest_ns=shortest_ns, quiet_ns=quiet_ns)


def return_limit_ns(contract: Contract, plan: FaultPlan, longest_timer_ns: int) -> int:
    """Until when after the heal the stack has to serve as before, by the budget that gives it longest."""
    given = [j.budget.return_ns for j in judging_of(contract, plan) if j.budget.return_ns is not None]
    return max(given, default=max(RETURN_NS, longest_timer_ns + RETURN_AFTER_TIMER_NS))


def told(timers: Timers, stood_s: float) -> str:
    """By which timers the fault stood, for a reason: where none is known, for how long it was watched."""
    if timers.known:
        return ""
    return f"No timer of the stack is known: watched for {stood_s:.1f} s."


@dataclass
class Watch:
    """Asked again and again while the fault stands."""

    instruments: Instruments
    event_ns: int
    control_ns: int
    timers: Timers
    lab: LinuxLab
    quiet_ns: int
    watch_ns: int = 0
    _at_rest: Mapping[str, AtRest] = field(default_factory=dict)
    _looked_ns: int = 0
    _closer: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(t < self.event_ns for t in self.instruments.last_losses(self.control_ns).values()):
            found = self._stretches(self.control_ns, self.event_ns)
            self._at_rest = {
                name: AtRest(max(s.length_ns for s in some), max(s.lost for s in some), sum(s.lost for s in some))
                for name, some in found.items()
            }

    def missing(self) -> str:
        """Empty when the fault has stood for long enough; else what it stands for."""
        now = time.monotonic_ns()
        last = dict(self.instruments.last_losses(self.event_ns))
        breaks = [t for who, t in last.items() if who.startswith("connections")]
        if self._at_rest:
            lost = self._look_closer(now)
        else:
            lost = {who: [Stretch(t, t, 1)] for who, t in last.items() if not who.startswith("connections")}
        seen = Seen(
            event_ns=self.event_ns,
            now_ns=now,
            stretches=lost,
            at_rest=self._at_rest,
            asked_ns=self.instruments.asked_ns(),
            ended_connections=breaks,
            watch_ns=self.watch_ns,
        )
        if left := missing(seen, self.quiet_ns):
            return f"{left} ({', '.join(sorted(last))})" if last else left
        running = self.timers.running(self.lab, self.event_ns, now)
        return f"still running: {'; '.join(map(str, running[:3]))}" if running else ""

    def _look_closer(self, now_ns: int) -> Mapping[str, Sequence[Stretch]]:
        if now_ns - self._looked_ns > CLOSER_LOOK_S * 1e9:
            self._looked_ns, self._closer = now_ns, self._stretches(self.event_ns, now_ns - GRACE_NS)
        return self._closer

    def _stretches(self, t0_ns: int, t1_ns: int) -> dict[str, list[Stretch]]:
        """Of every flow and series that lost something in [t0, t1)."""
        found: dict[str, list[Stretch]] = {}
        for vantage, prober in self.instruments.probers.items():
            for trace in prober.window(t0_ns, t1_ns).flows:
                found[f"{vantage} {trace.flow.id}"] = _of_flow(trace)
        for vantage, requester in self.instruments.requesters.items():
            for asked in requester.window(t0_ns, t1_ns).traces:
                found[f"{vantage} requests {asked.series.id}"] = _of_requests(asked)
        return {name: some for name, some in found.items() if some}


def _of_flow(trace: FlowTrace) -> list[Stretch]:
    known = trace.state != NOT_SENT
    some = stretches(trace.due[known], trace.state[known] == ANSWERED, trace.flow.interval_ns)
    return [Stretch(s.start_ns, s.last_ns, s.failed) for s in some]


def _of_requests(trace: RequestTrace) -> list[Stretch]:
    known = np.asarray(trace.known())
    some = stretches(trace.due[known], trace.good()[known], trace.series.interval_ns)
    return [Stretch(s.start_ns, s.last_ns, s.failed) for s in some]
