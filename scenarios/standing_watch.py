"""Watches a fault that stands: what is lost meanwhile, and which timers still run. It decides by verdict.standing."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from scenarios.faults.base import FaultPlan
from scenarios.losses import Losses
from scenarios.timers.timers import Timers
from scenarios.verdict.ends import RETURN_AFTER_TIMER_NS, RETURN_NS
from scenarios.verdict.standing import cap_ns, missing
from topologies.budget import Judging, effective_limits
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab


def judging_of(contract: Contract, plan: FaultPlan) -> tuple[Judging, ...]:
    """The budgets that a fault is held against: of a link those of both its ends, where an end without one leaves it to the other."""
    found = (contract.judged_by(plan.fault, role) for role in _roles(plan))
    return tuple({j.name: j for j in found if j is not None}.values())


def _roles(plan: FaultPlan) -> tuple[str | None, ...]:
    return tuple(dict.fromkeys((plan.role, plan.other_role) if plan.links else (plan.role,)))


def watched_ns(contract: Contract, plan: FaultPlan) -> int:
    """For how long the contract wants the fault watched at least, ns, of a link by either end; 0 where it says nothing."""
    return max(contract.watched_ns(plan.fault, role) or 0 for role in _roles(plan))


ACTION_NS = 8_000_000_000
"""For so long after its exit an action may still have its effect, and what it costs."""


def of_an_action_ns(watch_ns: int) -> int:
    """For how long after its exit an action is watched, ns: as long as the contract says, where it says something."""
    return watch_ns or ACTION_NS


def cap_of(contract: Contract, plan: FaultPlan, timers_ns: int, watch_ns: int, shortest_ns: int, quiet_ns: int) -> int:
    """For how long the fault stands at most, ns: longer than any limit, of what was touched or not, allows for."""
    requests = contract.answers_requests
    budgets = [b for j in judging_of(contract, plan) for b in (j.budget, j.budget.elsewhere) if b is not None]
    limits = [effective_limits(b, plan.planned, requests=requests) for b in budgets]
    longest = max((limit.longest_ns for limit in limits), default=0)
    return cap_ns(timers_ns, watch_ns, longest, shortest_ns=shortest_ns, quiet_ns=quiet_ns)


def return_limit_ns(contract: Contract, plan: FaultPlan, longest_timer_ns: int) -> int:
    """Until when after the heal the stack has to serve as before, by the budget that gives it longest."""
    given = [j.budget.return_ns for j in judging_of(contract, plan) if j.budget.return_ns is not None]
    return max(given, default=max(RETURN_NS, longest_timer_ns + RETURN_AFTER_TIMER_NS))


def told(timers: Timers, stood_s: float) -> str:
    """By which timers the fault stood, for a reason: where none is known, or some could not be read, for how long it was watched."""
    unread = [*timers.unanswered, *timers.said]
    if unread:
        more = f", and {len(unread) - 1} more" if len(unread) > 1 else ""
        return f"Not every timer of the stack could be read ({unread[0]}{more}): watched for {stood_s:.1f} s."
    return "" if timers.known else f"No timer of the stack is known: watched for {stood_s:.1f} s."


@dataclass
class Watch:
    """Asked again and again while the fault stands."""

    losses: Losses
    event_ns: int
    timers: Timers
    lab: LinuxLab
    quiet_ns: int
    watch_ns: int = 0

    def missing(self) -> str:
        """Empty when the fault has stood for long enough; else what it stands for."""
        now = time.monotonic_ns()
        lost = self.losses.since(self.event_ns, now)
        seen = replace(lost.seen, asked_ns=self.losses.instruments.asked_ns(), watch_ns=self.watch_ns)
        if left := missing(seen, self.quiet_ns):
            return f"{left} ({', '.join(sorted(lost.last))})" if lost.last else left
        running = self.timers.running(self.lab, self.event_ns, now)
        return f"still running: {'; '.join(map(str, running[:3]))}" if running else ""
