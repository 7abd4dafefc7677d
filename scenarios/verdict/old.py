"""From figures, budget and trust to a verdict and its sentences. Pure. `unknown` is never a pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probes.trust import TrustCheck
from reports.evidence.schema import Judgement, VerdictWord
from scenarios.faults.base import FaultPlan
from scenarios.measured import ConnectionResult, Measured, elsewhere_ns, longest_ns
from scenarios.recovery import recovery
from scenarios.sentence import headline, in_ms, worst_flow
from topologies.budget import BrokenBudget, Budget


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, why, and each figure beside its budget."""

    verdict: VerdictWord
    reason: str
    headline: str
    judgements: tuple[Judgement, ...]


def _time(what: str, value_ns: int | None, censored: bool, budget_ns: int | None, interval_ns: int) -> Judgement:
    measured = ("≥ " if censored else "") + in_ms(value_ns, interval_ns)
    if budget_ns is None:
        return Judgement(what=what, measured=measured, budget="not judged", ok=None)
    ok = value_ns is not None and value_ns <= budget_ns and not censored
    return Judgement(
        what=what, measured=measured, budget=f"{budget_ns / 1e6:g} ms", ok=ok if value_ns is not None else None
    )


def _broken(what: str, broken: Sequence[ConnectionResult], among: int, budget: BrokenBudget | None) -> Judgement:
    own = sum(1 for c in broken if c.own)
    measured = f"{len(broken)} of {among}" + (f", {own} of them ended at the failed element" if own else "")
    if budget is None:
        return Judgement(what=what, measured=measured, budget="not judged", ok=None)
    if budget.unit == "own":
        return Judgement(what=what, measured=measured, budget="own", ok=own == len(broken))
    if budget.unit == "percentage":
        return Judgement(
            what=what, measured=measured, budget=str(budget), ok=100 * len(broken) <= budget.amount * among
        )
    return Judgement(what=what, measured=measured, budget=str(budget), ok=len(broken) <= budget.amount)


def hold_against(measured: Measured, budget: Budget | None) -> tuple[Judgement, ...]:
    """Each figure beside its budget. What the heal cost is judged like the fault itself, and what was not touched from the event
    to the end of the recovery."""
    given = budget or Budget()
    elsewhere = given.untouched if budget else Budget()
    step = measured.interval_ns
    touched, untouched = measured.touched, measured.untouched
    crossing = sum(1 for c in measured.established if c.touched)
    return_cut = any(f.reversion.censored for f in touched)
    rows = [
        _time("black_hole", longest_ns(touched), any(f.fault.censored for f in touched), given.black_hole_ns, step),
        _broken("broken", measured.broken(touched=True), crossing, given.broken),
        _time("reversion.black_hole", longest_ns(touched, reversion=True), return_cut, given.black_hole_ns, step),
        _broken("reversion.broken", measured.broken(touched=True, phase="recovery"), crossing, given.broken),
    ]
    for name, reversion in (("new_fail", False), ("reversion.new_fail", True)):
        tried = measured.new_fail_ns(touched=True, reversion=reversion)
        if tried is not None or given.new_fail_ns is not None:
            still = measured.new_fail_censored(touched=True, reversion=reversion)
            rows.append(_time(name, tried, still, given.new_fail_ns, step))
    if given.recover_ns is not None:
        whole = recovery(measured)
        took, still = (whole.after_ns, whole.censored) if whole else (None, False)
        rows.append(_time("recover", took, still, given.recover_ns, step))
    if untouched:
        cut = any(f.fault.censored or f.reversion.censored for f in untouched)
        rows.append(_time("elsewhere.black_hole", elsewhere_ns(measured), cut, elsewhere.black_hole_ns, step))
    if measured.attempts_of(touched=False):
        cut = any(measured.new_fail_censored(touched=False, reversion=r) for r in (False, True))
        worst = max(measured.new_fail_ns(touched=False, reversion=r) or 0 for r in (False, True))
        rows.append(_time("elsewhere.new_fail", worst, cut, elsewhere.new_fail_ns, step))
    strays = measured.strays
    rows.append(
        _broken("elsewhere.broken", strays, sum(1 for c in measured.established if not c.touched), elsewhere.broken)
    )
    return tuple(rows)


def judge(
    plan: FaultPlan,
    measured: Measured,
    budget: Budget | None,
    budget_name: str | None,
    checks: Sequence[TrustCheck],
    at_s: float,
) -> Judged:
    """The verdict lattice: an instrument that cannot be trusted makes `unknown`, whatever was measured; then a broken budget
    makes `fail`; then a budget that nobody could measure makes `unknown`; without any budget nothing was judged: `unknown`."""
    rows = hold_against(measured, budget)
    said = headline(plan, measured, budget, at_s)
    doubts = [c for c in checks if not c.ok]
    if not checks:
        return Judged("unknown", "Nobody asked whether the instrument can be trusted.", said, rows)
    if doubts:
        return Judged("unknown", " ".join(c.sentence for c in doubts), said, rows)
    failed = [r for r in rows if r.ok is False]
    if failed:
        named = "; ".join(f"{r.what} was {r.measured}, budget {r.budget}" for r in failed)
        worst = worst_flow(measured) if any(r.what.endswith("black_hole") for r in failed) else ""
        return Judged("fail", f"{plan.target} broke the budget `{budget_name}`: {named}.{worst}", said, rows)
    if budget is None:
        return Judged("unknown", f"The contract has no budget for {plan.fault}: measured, not judged.", said, rows)
    unmeasured = [r for r in rows if r.ok is None and r.budget != "not judged"]
    if unmeasured:
        return Judged("unknown", f"Budgeted, but not measured: {', '.join(r.what for r in unmeasured)}.", said, rows)
    return Judged("pass", f"Every figure is within the budget `{budget_name}`.", said, rows)
