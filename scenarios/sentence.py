"""What a scenario cost its clients, in one sentence that a director understands. Pure; it judges nothing."""

from __future__ import annotations

from probes.bounds import none_of
from probes.episodes import black_holes, milliseconds
from scenarios.faults.base import FaultPlan
from scenarios.measured import Measured
from scenarios.verdict import Trial


def in_ms(value_ns: int | None, interval_ns: int) -> str:
    """With no more digits than the probe interval carries."""
    return "none measured" if value_ns is None else f"{milliseconds(value_ns, interval_ns):g} ms"


def upper_bound(among: int) -> str:
    """None of `among` broke: what share may break all the same, with 95 % confidence (exact binomial, 1 - 0.05^(1/n))."""
    return f"95 % upper bound {100 * (none_of(among) or 0):.2g} %"


def headline(plan: FaultPlan, measured: Measured, trial: Trial, at_s: float) -> str:
    """What was done and when, what the flows that crossed it lost, and what became of requests and connections.

    It says only what happened: an action that was refused, a fault that did not take effect, are told as that.
    """
    did = _did(plan, trial)
    if trial.act.not_bitten:
        return f"{did} (t = {at_s:.2f} s): {_saw(measured, trial)}."
    parts = [
        _saw(measured, trial),
        *([failing] if (failing := _new(measured)) else []),
    ]
    saw, across, rest = "; ".join(parts), _across(measured, trial), _elsewhere(measured)
    return f"{did} at t = {at_s:.2f} s: {saw}. {across}; {rest}."


def _did(plan: FaultPlan, trial: Trial) -> str:
    act = trial.act
    if act.refused:
        return f"{plan.element} refused what it was asked ({act.refused})"
    if act.not_bitten:
        return f"Tried in vain: {plan.verb[0].lower()}{plan.verb[1:]} ({act.not_bitten})"
    if act.did_nothing:
        return f"{plan.element} was asked to {plan.fault}, said that it did, and did nothing ({act.did_nothing})"
    return plan.verb


def _new(measured: Measured) -> str:
    """For how long new connections and requests failed, each as exactly as they were asked; empty where none did."""
    tried, asked = measured.attempts_of(touched=True), measured.requests_of(touched=True)
    connections = "new connections", measured.new_fail_ns(touched=True), measured.new_fail_censored(touched=True)
    requests = "new requests", measured.request_fail_ns(touched=True), not measured.requests_ended(touched=True)
    said = []
    for (what, failed, censored), steps in (
        (connections, [a.trace.flow.interval_ns for a in tried]),
        (requests, [r.trace.series.interval_ns for r in asked]),
    ):
        if failed:
            said.append(f"{what} failed for {'at least ' if censored else ''}{in_ms(failed, max(steps))}")
    return " and ".join(said)


def _saw(measured: Measured, trial: Trial) -> str:
    step, touched = measured.interval_ns, measured.touched
    spread = black_holes([f.fault for f in touched])
    limits = [j.budget.black_hole_ns for j in trial.judging if j.budget.black_hole_ns is not None]
    promised = f"; budget {min(limits) / 1e6:g} ms" if limits else ""
    if not trial.carries:
        return "nothing crossed it before"
    if not touched:
        return "no probe flow crossed it"
    if spread.max_ns == 0:
        return f"none of the {len(touched)} flows that crossed it lost a probe (±{step / 1e6:g} ms{promised})"
    who = ", ".join(sorted({f.trace.flow.vantage for f in touched}))
    longest = in_ms(spread.max_ns, step)
    if spread.censored:
        length, more = f"at least {longest}, and {spread.censored} flows never came back", ""
    elif spread.p99_ns is None:
        length, more = f"at most {longest}", ""
    else:
        length, more = in_ms(spread.p99_ns, step), f"p99 over {spread.flows} flows; longest {longest}; "
    return (
        f"the {len(touched)} flows that crossed it (from {who}) saw a black hole of {length} "
        f"({more}±{step / 1e6:g} ms{promised})"
    )


def _across(measured: Measured, trial: Trial) -> str:
    everybody = not trial.carries
    broken = measured.broken(touched=None if everybody else True)
    own = sum(1 for c in broken if c.own)
    among = sum(1 for c in measured.established if c.touched or everybody)
    if everybody:
        return f"{len(broken)} of {among} connections broke"
    ended = f", {own} of them because they ended there" if own else ""
    sure = f" ({upper_bound(among)})" if among and not broken else ""
    return f"{len(broken)} of {among} connections across it broke{sure}{ended}"


def _elsewhere(measured: Measured) -> str:
    lost = sum(f.fault.lost + f.reversion.lost for f in measured.untouched)
    failed = [
        (
            sum(a.fault.failed + a.reversion.failed for a in measured.attempts_of(touched=False)),
            "new connections failed",
        ),
        (sum(r.fault.failed + r.reversion.failed for r in measured.requests_of(touched=False)), "new requests failed"),
    ]
    strays, among = measured.strays, sum(1 for c in measured.established if not c.touched)
    if lost or strays or any(count for count, _ in failed):
        said = [f"{lost} probes were lost", *(f"{count} {what}" for count, what in failed if count)]
        return f"elsewhere {', '.join(said)} and {len(strays)} connections broke"
    return "elsewhere nothing was lost" + (f" (0 of {among} connections; {upper_bound(among)})" if among else "")
