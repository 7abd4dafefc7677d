"""From what a trial did to its verdict: reads the instruments, measures, has it judged, and writes all of it down.

It breaks and heals nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from probes.connections import ConnectionRecord
from probes.connections.aging import closed_by_age
from probes.drops.counters import CountedDrops
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS as THRESHOLD_NS
from probes.flows import FlowWindow
from probes.prober import Counters
from probes.readings import read_connections, read_prober, read_requester, read_wakeups
from probes.requests import RequestWindow
from probes.trust import TrustCheck, TrustInput
from probes.watch import TimelineEvent
from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.boot import Booted
from scenarios.catalogue import Entry
from scenarios.concluded import Found, verdict_of
from scenarios.died import Deaths, find_deaths
from scenarios.doubted import doubt_of, doubts_of, ordinary_lateness_ns
from scenarios.faults.base import FaultPlan
from scenarios.instruments import Instruments
from scenarios.measured import (
    Clock,
    ConnectionResult,
    Measured,
    classify_connection,
    measure_attempts,
    measure_flow,
    measure_requests,
)
from scenarios.protocols import TCP
from scenarios.record import (
    tuple_of,
    write_attempts,
    write_connections,
    write_flows,
    write_load,
    write_requests,
    write_trust,
)
from scenarios.silenced import silenced
from scenarios.standing_watch import judging_of
from scenarios.timers.model import Timer
from scenarios.told import drops_of
from scenarios.touching import Touching, at_element
from scenarios.trial import at_rest, held_of, latencies_of, series_of, silent
from scenarios.verdict import Act, Doubt, Heal, Judged, Load, Trial, judge
from scenarios.verdict.facts import Kind, Loaded, Part
from scenarios.ways import routes
from topologies.linux.impair.doing import Impaired
from topologies.linux.sights import Sights
from topologies.linux.wire import Flow
from topologies.linux.wired import Crossing

WORST_LOAD_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, and what taps saw of it. `key`: the trial's name in the evidence.

    `before`, `after`: flows over links at the end of the control window and before the heal; `openings`: while connections opened.
    `counters`, `counters_at_heal`: each prober's, from before the trial and at its heal. `sights`: which probes passed which links
    from the event on; `counted`: counters of drops that moved, where the kernel tells no single ones. `quiet`: the fault stood until
    `quiet_ns` without loss had passed.
    """

    key: str
    entry: Entry
    plan: FaultPlan
    clock: Clock
    reproduce: str
    before: tuple[Crossing, ...]
    openings: tuple[Crossing, ...]
    after: tuple[Crossing, ...]
    doubts: tuple[Doubt, ...]
    act: Act
    heal: Heal
    quiet: bool
    quiet_ns: int
    longest_timer_ns: int
    timers: tuple[Timer, ...]
    watched: str
    counters: Mapping[str, Counters]
    counters_at_heal: Mapping[str, Counters]
    sights: Sights
    counted: tuple[CountedDrops, ...] = ()
    earlier: str = ""  # why an earlier attempt was unknown
    hops: tuple[schema.Hops, ...] = ()
    hops_cost: schema.HopsCost | None = None

    @property
    def touching(self) -> Touching:
        """What crossed the element in the control window."""
        crossed = at_element(self.before, self.plan.nodes, self.plan.links)
        return Touching(crossed, frozenset(self.plan.nodes))

    @property
    def opened(self) -> Touching:
        """What crossed the element while connections were opened."""
        crossed = at_element(self.openings, self.plan.nodes, self.plan.links)
        return Touching(crossed, frozenset(self.plan.nodes))


@dataclass(frozen=True, slots=True)
class Concluded:
    """A trial's verdict as the evidence has it, and as it was judged."""

    verdict: schema.Verdict
    judged: Judged


@dataclass(frozen=True, slots=True)
class _Read:
    """What the instruments had to say of the whole trial."""

    windows: Mapping[str, FlowWindow]
    requests: Mapping[str, RequestWindow]


def conclude(
    done: Done, booted: Booted, instruments: Instruments, writer: EvidenceWriter, renew: Callable[[], None]
) -> Concluded:
    """Measures and judges, and writes every record of the trial. `renew` begins what the next trial has to wait for."""
    name, clock = done.key, done.clock
    read = _Read(
        {v: p.window(clock.control_ns, clock.end_ns) for v, p in instruments.probers.items()},
        {v: r.window(clock.control_ns, clock.end_ns) for v, r in instruments.requesters.items()},
    )
    measured = _measure(done, booted, read, instruments)
    renew()  # now that the records of this one are read: it takes a second
    lateness, checks, doubts = _doubts(done, booted, instruments, measured)
    trial = _trial(done, booted, measured, instruments, lateness, doubts)
    judged = judge(trial)
    clients = {tuple_of(f.trace.flow): f.trace.flow.vantage for f in measured.flows}
    backends = {v: w.backends for v, w in read.windows.items()}
    died = _died(done, booted, measured, instruments)
    write_flows(
        writer, name, measured, clock, backends, routes(clients, done.before), routes(clients, done.after), died
    )
    write_attempts(writer, name, measured, clock)
    write_requests(writer, name, measured, clock, {v: w.backends for v, w in read.requests.items()})
    write_connections(writer, name, measured)
    write_load(writer, name, instruments.load, clock)
    write_trust(writer, name, checks, clock.end_ns)
    events = _timeline(writer, name, clock, instruments)
    verdict = verdict_of(
        Found(done, booted, measured, trial, judged, read.windows, events, instruments.missing(), died)
    )
    writer.write(verdict, t_ns=time.monotonic_ns(), scenario=name)
    return Concluded(verdict, judged)


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


# -- measuring -----------------------------------------------------------------------------------------------------


def _measure(done: Done, booted: Booted, read: _Read, instruments: Instruments) -> Measured:
    touching, clock, nodes = done.touching, done.clock, frozenset(done.plan.nodes)
    flows, attempts, requests = [], [], []
    for window in read.windows.values():
        for trace in window.flows:
            flow = trace.flow
            if trace.transport == "tcp":
                touched = touching.schedule(flow.src, flow.dst, flow.dport, flow.sport, flow.ports)
                attempts.append(measure_attempts(trace, clock, touched=touched))
            else:
                crossed = touching.flow(tuple_of(flow))
                probed = measure_flow(trace, clock, touched=crossed, backends=window.backends)
                flows.append(probed if crossed or not probed.named & nodes else probed.answered_by_it())
    for asked in read.requests.values():
        for one in asked.traces:
            series = one.series
            crossed = touching.schedule(series.src, series.dst, series.dport, series.base_port, series.ports)
            found = measure_requests(one, asked.backends, clock, touched=crossed, straddle_ns=asked.stall_ns)
            requests.append(found if crossed or not found.named & nodes else found.answered_by_it())
    connections = _connections(done, booted, instruments)
    return Measured(instruments.interval_ns, tuple(flows), tuple(connections), tuple(attempts), clock, tuple(requests))


def _connections(done: Done, booted: Booted, instruments: Instruments) -> list[ConnectionResult]:
    """Every connection of every vantage, as far as the trial is about it."""
    touching, opened, plan, clock = done.touching, done.opened, done.plan, done.clock
    idle_after = {
        (vip, service.port): service.idle_ns for service in booted.contract.services.values() for vip in service.vip
    }
    recorded = [held.records(clock.control_ns) for held in instruments.connections.values()]
    renamed = {where for records in recorded for where in renamed_at_rest(records, clock)}
    services = [[(vip, s.port) for vip in s.vip] for s in booted.contract.services.values()]
    unnamed = {where for service in services if not renamed.isdisjoint(service) for where in service}
    found = []
    for records in recorded:
        flows = [Flow(r.src, r.sport, r.dst, r.dport, TCP) for r in records]
        crossed = [
            touching.flow(flow) or r.backend in plan.nodes or (r.use == "idle" and opened.flow(flow))
            for r, flow in zip(records, flows, strict=True)
        ]
        untouched = [r for r, touched in zip(records, crossed, strict=True) if not touched]
        for r, flow, touched in zip(records, flows, crossed, strict=True):
            own = ended_here(done, r, flow) if plan.ends_connections and touched else False
            alike = [o for o in untouched if (o.dst, o.dport) == (r.dst, r.dport)]
            aged = closed_by_age(r, alike, idle_after.get((r.dst, r.dport)))
            excused = aged or (r.broken_by == "other-backend" and (r.dst, r.dport) in unnamed)
            result = classify_connection(r, clock, touched=touched, own=own, excused=excused)
            if result:
                found.append(result)
    return found


def renamed_at_rest(records: Iterable[ConnectionRecord], clock: Clock) -> set[tuple[str, int]]:
    """Where names changed on held connections without any fault: of such a service, another backend tells nothing."""
    return {
        (r.dst, r.dport)
        for r in records
        if r.broken_by == "other-backend" and r.broken_ns is not None and r.broken_ns < clock.event_ns
    }


def not_held_to_names(connections: Iterable[ConnectionResult]) -> str:
    """That another backend is not judged there, a sentence; empty where it is."""
    where = {
        f"{c.record.dst} port {c.record.dport}"
        for c in connections
        if c.excused and c.record.broken_by == "other-backend"
    }
    names = ", ".join(sorted(where))
    return f"Names change on held connections to {names} at rest: another backend is not judged there." if where else ""


def ended_here(done: Done, record: ConnectionRecord, flow: Flow) -> bool | None:
    """Whether a connection ended at the failed element: told by name; without a name, by packets that entered and did not leave."""
    if record.backend is not None:
        return record.backend in done.plan.nodes
    told = done.touching.ended_here(flow)
    return done.opened.ended_here(flow) if told is None else told


# -- doubting ------------------------------------------------------------------------------------------------------


def _doubts(
    done: Done, booted: Booted, instruments: Instruments, measured: Measured
) -> tuple[Mapping[tuple[Kind, Part], int], tuple[TrustCheck, ...], tuple[Doubt, ...]]:
    """How late the instruments were in each part, the checks of both, and what they make doubtful."""
    clock = done.clock
    until_heal = _readings(done, booted, instruments, measured, clock.control_ns, clock.event_ns, clock.heal_ns)
    after = _readings(done, booted, instruments, measured, clock.heal_ns, clock.heal_ns, clock.end_ns)
    checks, doubts = doubts_of(until_heal)
    later, doubts_after = doubts_of(after, after_heal=True)
    impairments = impairment_checks(booted.lab.impaired())
    lateness: dict[tuple[Kind, Part], int] = {}
    parts: tuple[tuple[Part, TrustInput], ...] = (("fault", until_heal), ("after", after))
    for part, given in parts:
        lateness["probe", part] = lateness["syn", part] = ordinary_lateness_ns(given.probers)
        lateness["request", part] = ordinary_lateness_ns(given.requesters)
    failed_later = [
        TrustCheck(c.check, c.ok, c.value, c.limit, c.unit, f"After the heal: {c.sentence}") for c in later if not c.ok
    ]
    wrong = (*done.doubts, *doubts, *doubts_after, *(doubt_of(c) for c in impairments if not c.ok))
    told = [TrustCheck(d.check, False, None, None, "", d.sentence) for d in done.doubts]
    return lateness, (*told, *checks, *failed_later, *impairments), wrong


def _readings(
    done: Done, booted: Booted, instruments: Instruments, measured: Measured, t0_ns: int, event_ns: int, t1_ns: int
) -> TrustInput:
    """Of the time in [t0, t1). What was lost before the fault, and what waited then, is of the time until the heal."""
    first = t1_ns <= done.clock.heal_ns
    over_ns = t1_ns if first else done.clock.over_ns  # connections are asked until then, by whoever is to run
    before, until = (
        (done.counters, done.counters_at_heal)
        if first
        else (done.counters_at_heal, {v: p.counters() for v, p in instruments.probers.items()})
    )
    lost, longest = at_rest(measured) if first else (0, 0)
    return TrustInput(
        probers=tuple(
            read_prober(p, p.window(t0_ns, t1_ns), before[v], event_ns, until[v])
            for v, p in instruments.probers.items()
        ),
        requesters=tuple(
            read_requester(r, r.window(t0_ns, t1_ns), r.window(event_ns, t1_ns).stall_ns)
            for r in instruments.requesters.values()
        ),
        connections=tuple(read_connections(c, t0_ns, over_ns) for c in instruments.connections.values()),
        control_lost=lost,
        control_longest_ns=longest,
        control_broken=len(measured.broken(phase="control")) if first else 0,
        wakeups=read_wakeups(instruments.wakeups, t0_ns, event_ns, over_ns) if instruments.wakeups else None,
        under_way_ns=measured.under_way_ns if first else None,
        late_answer_ns=measured.late_answer_ns(t0_ns, t1_ns),
        silenced=_silenced(done, booted, instruments, t0_ns, over_ns),
    )


def _silenced(done: Done, booted: Booted, instruments: Instruments, t0_ns: int, t1_ns: int) -> tuple[str, ...] | None:
    """None where nobody listened, and where links lose what the stack's own file has them lose."""
    if instruments.watch is None or booted.lab.impaired():
        return None
    return silenced(instruments.watch.events(t0_ns, t1_ns), done.plan, booted.topology.nodes)


# -- the trial -----------------------------------------------------------------------------------------------------


def _trial(
    done: Done,
    booted: Booted,
    measured: Measured,
    instruments: Instruments,
    lateness: Mapping[tuple[Kind, Part], int],
    doubts: tuple[Doubt, ...],
) -> Trial:
    plan, clock = done.plan, done.clock
    vips = {vip for service in booted.contract.services.values() for vip in service.vip}
    straddle = max((ns for (kind, _), ns in lateness.items() if kind != "request"), default=0)
    named = frozenset(plan.nodes)
    answered = any(f.named & named for f in measured.flows) or any(r.named & named for r in measured.requests)
    by_name = answered or any(c.touched and c.record.backend in named for c in measured.connections)
    return Trial(
        fault=plan.fault,
        element=plan.element,
        judging=judging_of(booted.contract, plan),
        planned=plan.planned,
        carries=done.touching.carries(vips) or by_name,
        series=series_of(measured, quiet=done.quiet, quiet_ns=done.quiet_ns, straddle_ns=straddle),
        connections=held_of(measured),
        until_heal=_loaded(measured, instruments, "fault"),
        after=_loaded(measured, instruments, "after"),
        act=done.act,
        heal=done.heal,
        doubts=doubts,
        silent=(*booted.answering.never_answered(booted.contract), *silent(measured)),
        lateness_ns=lateness,
        longest_timer_ns=done.longest_timer_ns,
        watched=" ".join(filter(None, (done.watched, not_held_to_names(measured.connections)))),
        stood_ns=clock.heal_ns - clock.event_ns,
    )


def _loaded(measured: Measured, instruments: Instruments, part: Part) -> Loaded:
    """What became of requests and of Locust's load in this part."""
    there = {r.trace.series.vantage for r in measured.requests_of(touched=True)}
    sending = instruments.load.vantages if instruments.load else ()
    return Loaded(
        latencies_of(measured, touched=True, part=part),
        latencies_of(measured, touched=False, part=part),
        _load([v for v in sending if v in there], instruments, measured.clock, part),
        _load([v for v in sending if v not in there], instruments, measured.clock, part),
    )


def _load(vantages: Sequence[str], instruments: Instruments, clock: Clock | None, part: Part) -> Load | None:
    """The worst 5 s of Locust's load of these vantages in this part; None where it sends none from there."""
    load = instruments.load
    if load is None or clock is None or not vantages:
        return None
    first_ns, end_ns = clock.span(part)
    phase: Literal["fault", "recovery"] = "fault" if part == "fault" else "recovery"
    found = [
        Load(sum(f.requests for f in figures), sum(f.failures for f in figures))
        for since in every_second(first_ns, end_ns - WORST_LOAD_NS)
        for figures in [[load.figures(v, phase, since, min(since + WORST_LOAD_NS, end_ns)) for v in vantages]]
    ]
    return max(found, key=lambda one: (one.failed / one.requests if one.requests else 0.0, one.requests), default=None)


def every_second(first_ns: int, last_ns: int) -> list[int]:
    """Every second from the first on, and the last: nothing that was asked lies in no window."""
    return sorted({*range(first_ns, max(first_ns + 1, last_ns + 1), 10**9), max(first_ns, last_ns)})


# -- telling -------------------------------------------------------------------------------------------------------


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
