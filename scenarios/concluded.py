"""A trial's verdict as the evidence has it: what was judged, and every figure beside it. Pure; it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from probes.episodes import P99_NEEDS, black_holes
from probes.flows import FlowWindow
from probes.requests.stretches import failed_by
from probes.watch import TimelineEvent
from reports.evidence import schema
from scenarios.boot import Booted
from scenarios.causes import stages
from scenarios.died import Deaths, where_died
from scenarios.measured import Measured, RequestsResult, elsewhere_ns, new_connections, vantage_figures
from scenarios.record import tuple_of
from scenarios.sentence import headline
from scenarios.timing import convergence, failover, reversion, route_convergence, with_impaired
from scenarios.verdict import Judged, Row, Trial
from scenarios.verdict.recovery import recovery
from scenarios.verdict.text import limit_of, told
from scenarios.ways import ways
from topologies.budget import BrokenBudget

if TYPE_CHECKING:
    from scenarios.conclude import Done


@dataclass(frozen=True, slots=True)
class Found:
    """All that a verdict tells of. `windows`: each vantage's probes; `missing`: what did not measure though it should."""

    done: Done
    booted: Booted
    measured: Measured
    trial: Trial
    judged: Judged
    windows: Mapping[str, FlowWindow]
    events: Sequence[TimelineEvent]
    missing: str
    died: Deaths


def verdict_of(found: Found) -> schema.Verdict:
    """The record of a trial's verdict."""
    done, measured, judged, died = found.done, found.measured, found.judged, found.died
    plan, windows = done.plan, found.windows
    lateness = np.concatenate([w.lateness() for w in windows.values()]) if windows else np.zeros(0)
    untouched = elsewhere_ns(measured)
    spread = black_holes([f.fault for f in measured.touched])
    vantages = [v.name for v in found.booted.topology.nodes_with_role("client")]
    flows = {tuple_of(f.trace.flow): f for f in measured.flows}
    whole = recovery(found.trial)
    at_s = (done.clock.event_ns - done.clock.control_ns) / 1e9
    return schema.Verdict(
        scenario=done.key,
        title=done.entry.title,
        fault=plan.fault,
        target=plan.target,
        element=plan.element,
        verdict=judged.verdict,
        reason=" ".join(
            [
                judged.reason,
                *([f"Not measured: {found.missing}."] if found.missing else []),
                *([f"This is a further attempt; the one before was unknown: {done.earlier}"] if done.earlier else []),
            ]
        ),
        headline=headline(plan, measured, found.trial, at_s),
        interval_ms=measured.interval_ns / 1e6,
        flows=len(measured.flows),
        touched=len(measured.touched),
        lateness_p99_ms=round(float(np.percentile(lateness, 99)) / 1e6, 3) if lateness.size else None,
        black_hole_ms=schema.BlackHole(max=_ms(spread.max_ns), p99=_ms(spread.p99_ns), censored=spread.censored),
        elsewhere_black_hole_ms=None if untouched is None else untouched / 1e6,
        connections=len(measured.established),
        broken=len(measured.broken()),
        new_fail_ms=_ms(measured.new_fail_ns(touched=True)),
        request_fail_ms=_ms(measured.request_fail_ns(touched=True)),
        recover_ms=_ms(whole.after_ns) if whole and not whole.censored else None,
        convergence=convergence(measured),
        route_convergence=route_convergence(measured),
        failover=failover(measured),
        p99_upper_ms=_ms(spread.p99_upper_ns),
        reversion=structs.replace(reversion(measured), died=where_died(died.reversion, died.note)),
        died=where_died(died.fault, died.note),
        hops=done.hops,
        hops_cost=done.hops_cost,
        vantages=with_impaired(vantage_figures(measured, vantages), measured),
        new_connections=new_connections(measured),
        new_requests=tuple(_new_requests(r, done.clock.heal_ns) for r in measured.requests),
        stages=stages(plan, done.clock, measured, done.after, found.events, timers=done.timers),
        paths=ways(
            {flow: f.trace.flow.vantage for flow, f in flows.items()},
            {flow for flow, f in flows.items() if f.touched},
            done.before,
            done.after,
            plan.nodes,
            plan.links,
        ),
        judged=tuple(judgement(row) for row in judged.rows),
        reproduce=done.reproduce,
        carried=found.trial.carries,
        counts=judged.counts,
        planned=plan.planned,
        kills=plan.kills,
    )


def judgement(row: Row) -> schema.Judgement:
    """A row as the evidence has it."""
    scale = 1e6 if row.unit == "ns" else 1.0
    limit, limit_unit = _limit(row)
    return schema.Judgement(
        what=row.name,
        measured=told(row),
        budget=limit_of(row),
        ok={"ok": True, "fail": False}.get(row.state or ""),
        key=row.key,
        where=row.where,
        part=row.part,
        state=row.state,
        unit="ms" if row.unit == "ns" else row.unit,
        figure=row.figure / scale,
        low=row.range.low / scale,
        high=None if row.range.high is None else row.range.high / scale,
        limit=limit,
        limit_unit=limit_unit,
        censored=row.censored,
        samples=row.samples,
        among=row.among if row.unit == "connections" else None,
        use=row.use,
        under=row.budget,
        given=row.given,
        limit_from=row.fallback,
        by=row.by,
        why=row.why,
    )


def _limit(row: Row) -> tuple[float | None, schema.LimitUnit | None]:
    if row.limit is None:
        return None, None
    if isinstance(row.limit, BrokenBudget):
        units: dict[str, schema.LimitUnit] = {"count": "count", "percentage": "percent", "own": "own"}
        return (None if row.limit.unit == "own" else row.limit.amount), units[row.limit.unit]
    return (row.limit / 1e6, "ms") if row.unit == "ns" else (row.limit, "percent")


def _new_requests(r: RequestsResult, heal_ns: int) -> schema.NewRequests:
    series, trace = r.trace.series, r.trace
    chosen = trace.good() & (trace.due >= r.start_ns) & (trace.due < heal_ns)
    took = np.sort(trace.latency_ns()[chosen]) / 1e6
    return schema.NewRequests(
        vantage=series.vantage,
        service=series.service,
        family=series.family,
        touched=r.touched,
        requests=r.fault.requests,
        failed=r.fault.failed,
        request_fail_ms=r.fault.request_fail_ns / 1e6,
        ended=r.fault.ended,
        interval_ms=series.interval_ns / 1e6,
        latency=_percentiles(took),
        failed_by=tuple((how.name.lower().replace("_", " "), count) for how, count in failed_by(trace).items()),
    )


def _percentiles(ordered: np.ndarray[tuple[int], np.dtype[np.float64]]) -> schema.Percentiles:
    def at(share: float) -> float | None:
        return round(float(ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]), 2) if len(ordered) else None

    p99 = at(0.99) if len(ordered) >= P99_NEEDS else None
    return schema.Percentiles(n=len(ordered), p50=at(0.5), p95=at(0.95), p99=p99, max=at(1.0))


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / 1e6
