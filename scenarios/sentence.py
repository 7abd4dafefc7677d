"""What a scenario cost its clients, in one sentence that a director understands. Pure; it judges nothing."""

from __future__ import annotations

from probes.bounds import none_of
from probes.episodes import black_holes, milliseconds
from scenarios.faults.base import FaultPlan
from scenarios.measured import FlowResult, Measured
from topologies.budget import Budget


def in_ms(value_ns: int | None, interval_ns: int) -> str:
    """With no more digits than the probe interval carries."""
    return "none measured" if value_ns is None else f"{milliseconds(value_ns, interval_ns):g} ms"


def upper_bound(among: int) -> str:
    """None of `among` broke: what share may break all the same, with 95 % confidence (exact binomial, 1 - 0.05^(1/n))."""
    return f"95 % upper bound {100 * (none_of(among) or 0):.2g} %"


def headline(plan: FaultPlan, measured: Measured, budget: Budget | None, at_s: float) -> str:
    """The fault, when it came, what the flows that crossed it lost, and what became of connections across it and elsewhere."""
    tried = measured.new_fail_ns(touched=True)
    refused = f" New connections failed for {in_ms(tried, measured.interval_ns)} at most." if tried else ""
    saw, across, rest = _saw(measured, budget), _across(measured), _elsewhere(measured)
    return f"{plan.verb} at t = {at_s:.2f} s: {saw}. {across}; {rest}.{refused}"


def _saw(measured: Measured, budget: Budget | None) -> str:
    step, touched = measured.interval_ns, measured.touched
    spread = black_holes([f.fault for f in touched])
    promised = f"; budget {budget.black_hole_ns / 1e6:g} ms" if budget and budget.black_hole_ns is not None else ""
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


def _across(measured: Measured) -> str:
    broken = measured.broken(touched=True)
    own = sum(1 for c in broken if c.own)
    among = sum(1 for c in measured.established if c.touched)
    ended = f", {own} of them because they ended there" if own else ""
    sure = f" ({upper_bound(among)})" if among and not broken else ""
    return f"{len(broken)} of {among} connections across it broke{sure}{ended}"


def _elsewhere(measured: Measured) -> str:
    lost = sum(f.fault.lost + f.reversion.lost for f in measured.untouched)
    strays, among = measured.strays, sum(1 for c in measured.established if not c.touched)
    if lost or strays:
        return f"elsewhere {lost} probes were lost and {len(strays)} connections broke"
    return "elsewhere nothing was lost" + (f" (0 of {among} connections; {upper_bound(among)})" if among else "")


def worst_flow(measured: Measured) -> str:
    """Names the flow with the longest black hole, as a sentence to be appended; empty where none lost a probe."""

    def lost(f: FlowResult) -> int:
        return max(f.fault.black_hole_ns, f.reversion.black_hole_ns)

    worst = max(measured.flows, key=lost, default=None)
    if worst is None or not lost(worst):
        return ""
    flow = worst.trace.flow
    where = f"{flow.src} port {flow.sport} → {flow.dst} port {flow.dport}" if flow.sport else f"{flow.src} → {flow.dst}"
    return f" The worst flow is {flow.transport} {where} from {flow.vantage}, with {in_ms(lost(worst), measured.interval_ns)}."
