"""From what a scenario did to its verdict: reads the instruments, measures, judges, and writes all of it down.

It breaks and heals nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from probes.drops.counters import CountedDrops
from probes.episodes import black_holes
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS as THRESHOLD_NS
from probes.flows import FlowWindow
from probes.prober import Counters
from probes.readings import read_connections, read_cpu_pressure, read_prober, read_wakeups
from probes.trust import TrustCheck, TrustInput, check_trust, disturbed
from probes.watch import TimelineEvent
from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.boot import Booted
from scenarios.catalogue import Entry
from scenarios.causes import stages
from scenarios.died import Deaths, find_deaths, where_died
from scenarios.faults.base import FaultPlan
from scenarios.instruments import Instruments
from scenarios.measured import (
    Clock,
    Measured,
    classify_connection,
    elsewhere_ns,
    measure_attempts,
    measure_flow,
    new_connections,
    vantage_figures,
)
from scenarios.protocols import TCP
from scenarios.record import (
    crossed,
    tuple_of,
    write_attempts,
    write_connections,
    write_flows,
    write_load,
    write_trust,
)
from scenarios.recovery import recovery
from scenarios.timing import convergence, failover, reversion, route_convergence, with_impaired
from scenarios.told import drops_of
from scenarios.verdict.old import Judged, judge
from scenarios.ways import routes, ways
from topologies.linux.impair.doing import Impaired
from topologies.linux.sights import Sights
from topologies.linux.wire import Flow
from topologies.linux.wired import Crossing


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, and what taps saw of it. `before`, `after`: flows over links at the end of the control window and of the
    observation. `counters`: each prober's, from before the scenario. `sights`: which probes passed which links from the event on;
    `counted`: counters of drops that moved, where the kernel tells no single ones."""

    entry: Entry
    plan: FaultPlan
    clock: Clock
    reproduce: str
    before: tuple[Crossing, ...]
    after: tuple[Crossing, ...]
    doubts: tuple[TrustCheck, ...]
    effective: bool
    healed: bool
    counters: Mapping[str, Counters]
    sights: Sights
    counted: tuple[CountedDrops, ...] = ()
    earlier: str = ""  # why an earlier try was unknown
    hops: tuple[schema.Hops, ...] = ()
    hops_cost: schema.HopsCost | None = None

    @property
    def seen(self) -> set[Flow]:
        """The flows that crossed what was broken, before it was."""
        nodes, links = set(self.plan.nodes), self.plan.links
        return {c.flow for c in self.before if c.sender in nodes or c.receiver in nodes or c.over(links)}


@dataclass(frozen=True, slots=True)
class Concluded:
    """`disturbed`: unknown for nothing but too little CPU."""

    verdict: schema.Verdict
    disturbed: bool


def conclude(done: Done, booted: Booted, instruments: Instruments, writer: EvidenceWriter) -> Concluded:
    """Measures and judges, and writes every record of the scenario."""
    name, clock, plan = done.entry.name, done.clock, done.plan
    windows = {v: p.window(clock.control_ns, clock.end_ns) for v, p in instruments.probers.items()}
    measured = _measure(done, windows, instruments)
    instruments.begin_renewal()  # for the next scenario, now that the records of this one are read: it takes a second
    checks = (
        *done.doubts,
        *check_trust(_readings(done, windows, instruments, measured)),
        *impairment_checks(booted.lab.impaired()),
    )
    judged = judge(
        plan,
        measured,
        booted.contract.budget(plan.fault, plan.role),
        booted.contract.budget_name(plan.fault, plan.role),
        checks,
        (clock.event_ns - clock.control_ns) / 1e9,
    )
    clients = {tuple_of(f.trace.flow): f.trace.flow.vantage for f in measured.flows}
    backends = {v: w.backends for v, w in windows.items()}
    died = _died(done, booted, measured, instruments)
    write_flows(
        writer, name, measured, clock, backends, routes(clients, done.before), routes(clients, done.after), died
    )
    write_attempts(writer, name, measured, clock)
    write_connections(writer, name, measured)
    write_load(writer, name, instruments.load, clock)
    write_trust(writer, name, checks, clock.end_ns)
    events = _timeline(writer, name, clock, instruments)
    verdict = _verdict(done, booted, measured, judged, windows, events, instruments.missing(), died)
    writer.write(verdict, t_ns=time.monotonic_ns(), scenario=name)
    return Concluded(verdict, verdict.verdict == "unknown" and disturbed(checks))


def impairment_checks(impaired: Sequence[Impaired]) -> list[TrustCheck]:
    """What stood in the way of packets beside the fault, since it is a part of every figure; one that did not do what was asked
    is a reason not to trust them."""
    return [
        TrustCheck(
            "impairment",
            not one.trouble,
            None,
            None,
            "",
            f"{one.standing}" + (f": {one.trouble}." if one.trouble else " was in the path."),
        )
        for one in impaired
    ]


def _timeline(writer: EvidenceWriter, scenario: str, clock: Clock, instruments: Instruments) -> list[TimelineEvent]:
    """Writes what the watch saw, and says where it saw nothing."""
    if instruments.watch is None:
        return []
    events = instruments.watch.events(clock.control_ns, clock.end_ns)
    for event in events:
        writer.write(event.event(), t_ns=event.t_ns, acc_ns=event.acc_ns, scenario=scenario, node=event.node)
    for gap in instruments.watch.gaps(clock.control_ns, clock.end_ns):
        writer.write(schema.Event(source="watch", what="gap", detail=gap), t_ns=clock.end_ns, scenario=scenario)
    return events


def _died(done: Done, booted: Booted, measured: Measured, instruments: Instruments) -> Deaths:
    """Where lost probes died, out of all that saw them or dropped them."""
    clock = done.clock
    flows = [flow for prober in instruments.probers.values() for flow in prober.flows]
    watch, dropped = instruments.watch, instruments.dropped
    told = drops_of(
        flows,
        dropped.between(clock.control_ns, clock.end_ns + THRESHOLD_NS) if dropped else (),
        watch.drops(clock.control_ns, clock.end_ns + THRESHOLD_NS) if watch else (),
        done.counted,
        dropped.missing() if dropped else "",
    )
    return find_deaths(measured, clock, done.sights, booted.lab, done.plan, told)


def _measure(done: Done, windows: Mapping[str, FlowWindow], instruments: Instruments) -> Measured:
    seen, clock = done.seen, done.clock
    flows, attempts, connections = [], [], []
    for window in windows.values():
        for trace in window.flows:
            if trace.transport == "tcp":
                attempts.append(measure_attempts(trace, clock))
            else:
                flows.append(measure_flow(trace, clock, touched=crossed(seen, tuple_of(trace.flow))))
    for held in instruments.connections.values():
        for r in held.records(clock.control_ns):
            touched = crossed(seen, Flow(r.src, r.sport, r.dst, r.dport, TCP))
            failed = done.plan.nodes if done.plan.ends_connections else ()
            found = classify_connection(r, clock, touched=touched, failed=failed)
            if found:
                connections.append(found)
    return Measured(instruments.interval_ns, tuple(flows), tuple(connections), tuple(attempts), clock)


def _readings(
    done: Done, windows: Mapping[str, FlowWindow], instruments: Instruments, measured: Measured
) -> TrustInput:
    clock = done.clock
    return TrustInput(
        probers=tuple(
            read_prober(p, windows[v], done.counters[v], clock.event_ns) for v, p in instruments.probers.items()
        ),
        connections=tuple(
            read_connections(c, clock.control_ns, clock.end_ns) for c in instruments.connections.values()
        ),
        control_lost=measured.control_lost,
        control_broken=len(measured.broken(phase="control")),
        touched_flows=len(measured.touched),
        touched_connections=sum(1 for c in measured.established if c.touched) if instruments.connections else None,
        fault_effective=done.effective,
        healed=done.healed,
        cpu_pressure=read_cpu_pressure(),
        wakeups=read_wakeups(instruments.wakeups, clock.control_ns, clock.event_ns, clock.end_ns)
        if instruments.wakeups
        else None,
        under_way_ns=measured.under_way_ns,
        late_answer_ns=measured.late_answer_ns,
    )


def _verdict(
    done: Done,
    booted: Booted,
    measured: Measured,
    judged: Judged,
    windows: Mapping[str, FlowWindow],
    events: Sequence[TimelineEvent],
    missing: str,
    died: Deaths,
) -> schema.Verdict:
    plan = done.plan
    lateness = np.concatenate([w.lateness() for w in windows.values()]) if windows else np.zeros(0)
    untouched = elsewhere_ns(measured)
    spread = black_holes([f.fault for f in measured.touched])
    vantages = [v.name for v in booted.topology.nodes_with_role("client")]
    flows = {tuple_of(f.trace.flow): f for f in measured.flows}
    whole = recovery(measured)
    return schema.Verdict(
        scenario=done.entry.name,
        title=done.entry.title,
        fault=plan.fault,
        target=plan.target,
        element=plan.element,
        verdict=judged.verdict,
        reason=" ".join(
            [
                judged.reason,
                *([f"Not measured: {missing}."] if missing else []),
                *([f"This is the second try; the first was unknown: {done.earlier}"] if done.earlier else []),
            ]
        ),
        headline=judged.headline,
        interval_ms=measured.interval_ns / 1e6,
        flows=len(measured.flows),
        touched=len(measured.touched),
        lateness_p99_ms=round(float(np.percentile(lateness, 99)) / 1e6, 3) if lateness.size else None,
        black_hole_ms=schema.BlackHole(
            max=_ms(spread.max_ns),
            p99=_ms(spread.p99_ns),
            censored=spread.censored,
        ),
        elsewhere_black_hole_ms=None if untouched is None else untouched / 1e6,
        connections=len(measured.established),
        broken=len(measured.broken()),
        new_fail_ms=_ms(measured.new_fail_ns(touched=True)),
        recover_ms=_ms(whole.after_ns) if whole and not whole.censored else None,
        full_convergence_ms=_ms(measured.full_convergence_ns),
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
        stages=stages(plan, done.clock, measured, done.after, events),
        paths=ways(
            {flow: f.trace.flow.vantage for flow, f in flows.items()},
            {flow for flow, f in flows.items() if f.touched},
            done.before,
            done.after,
            plan.nodes,
            plan.links,
        ),
        judged=judged.judgements,
        reproduce=done.reproduce,
    )


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / 1e6
