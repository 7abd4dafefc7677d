"""Turns what a scenario measured into evidence records. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from probes.closeup import WITHIN_NS, close_up, near_runs
from probes.flows import Bytes
from probes.load import LoadRun
from probes.packets import ProbeFlow
from probes.requests import Outcome, RequestTrace
from probes.trust import TrustCheck
from reports.evidence import schema
from reports.evidence.near import Run, pack_near
from reports.evidence.writer import EvidenceWriter
from scenarios.died import Deaths, died_of, within
from scenarios.measured import AttemptsResult, Clock, FlowResult, Measured, by_service
from scenarios.protocols import protocol_of
from scenarios.timing import answer_times
from topologies.linux.wire import Flow

Routes = Mapping[Flow, tuple[str, ...]]
"""Probe flow → the nodes that its packets passed, in order."""


def tuple_of(flow: ProbeFlow) -> Flow:
    """A probe flow as taps record it: an echo has its identifier in place of both ports."""
    far = flow.sport if flow.transport == "icmp" else flow.dport
    return Flow(flow.src, flow.sport, flow.dst, far, protocol_of(flow))


def crossed(seen: set[Flow], flow: Flow) -> bool:
    """Whether a 5-tuple, or its answers, were among the tapped flows."""
    return flow in seen or flow.reversed() in seen


def write_flows(
    writer: EvidenceWriter,
    scenario: str,
    measured: Measured,
    clock: Clock,
    backends: Mapping[str, tuple[str, ...]],
    before: Routes,
    after: Routes,
    died: Deaths,
) -> None:
    """A packed block per vantage and service, and every episode. `before` and `after`: the ways in the control window, and before
    the heal; `died`: where lost probes did."""
    dead = died.by_flow()
    for (vantage, service, transport, family), flows in by_service(measured.flows).items():
        mine = [tuple_of(f.trace.flow) for f in flows]
        ways = sorted({routes[flow] for routes in (before, after) for flow in mine if flow in routes})
        numbers = {way: number for number, way in enumerate(ways)}
        writer.write(
            schema.Flows(
                vantage=vantage,
                service=service,
                transport=transport,
                family=family,
                interval_ns=flows[0].trace.flow.interval_ns,
                t0_ns=clock.control_ns,
                t1_ns=clock.end_ns,
                event_ns=clock.event_ns,
                backends=backends[vantage],
                flows=tuple(
                    schema.Flow(
                        id=f.trace.flow.id,
                        src=f.trace.flow.src,
                        sport=f.trace.flow.sport,
                        dst=f.trace.flow.dst,
                        dport=f.trace.flow.dport,
                        touched=f.touched,
                        first_due_ns=int(f.trace.due[0]),
                        count=len(f.trace.due),
                        judged_from_ns=f.start_ns,
                        way_before=numbers[before[flow]] if flow in before else None,
                        way_after=numbers[after[flow]] if flow in after else None,
                    )
                    for f, flow in zip(flows, mine, strict=True)
                ),
                ways=tuple(ways),
                state=schema.pack_u8(np.concatenate([f.trace.state for f in flows]).astype(np.uint8).tobytes()),
                backend=schema.pack_u8(np.concatenate([f.trace.backend for f in flows]).astype(np.uint8).tobytes()),
                near=stamps(flows),
                answers=answer_times([f.trace for f in flows], clock),
            ),
            t_ns=clock.control_ns,
            scenario=scenario,
        )
        for f in flows:
            for episode in (*f.fault.episodes, *f.reversion.episodes):
                writer.write(
                    schema.Episode(
                        vantage=vantage,
                        service=service,
                        flow=f.trace.flow.id,
                        start_ns=episode.start_ns,
                        end_ns=episode.end_ns,
                        lost=episode.lost,
                        black_hole_ns=episode.black_hole_ns,
                        censored=episode.censored,
                        touched=f.touched,
                        packets=close_up(f.trace, episode, backends[vantage]),
                        died=died_of(
                            within(dead.get((vantage, f.trace.flow.id), []), episode.start_ns, episode.end_ns)
                        ),
                    ),
                    t_ns=episode.start_ns,
                    acc_ns=measured.interval_ns,
                    scenario=scenario,
                )


def stamps(flows: Sequence[FlowResult]) -> schema.Near | None:
    """The stamps of every probe near an episode, for a block of these flows; None where there was no episode."""
    return pack_near([run for place, f in enumerate(flows) for run in _near(place, f)], WITHIN_NS)


def _near(place: int, f: FlowResult) -> list[Run]:
    return near_runs(place, f.trace, [(e.start_ns, e.end_ns) for e in (*f.fault.episodes, *f.reversion.episodes)])


def _near_failing(a: AttemptsResult) -> list[Run]:
    periods = (*a.fault.periods, *a.reversion.periods)
    return near_runs(0, a.trace, [(p.start_ns, p.start_ns + p.length_ns) for p in periods])


def write_connections(writer: EvidenceWriter, scenario: str, measured: Measured) -> None:
    """A record per connection."""
    for c in measured.connections:
        r = c.record
        phase = c.phase if c.phase in ("control", "fault", "recovery") else None
        writer.write(
            schema.Connection(
                vantage=r.vantage,
                id=r.id,
                src=r.src,
                sport=r.sport,
                dst=r.dst,
                dport=r.dport,
                opened_ns=r.opened_ns,
                backend=r.backend,
                touched=c.touched,
                heartbeats=r.heartbeats,
                broken_ns=r.broken_ns if phase else None,
                broken_by=r.broken_by if phase else None,
                phase=phase,  # type: ignore[arg-type]
                closed_ns=r.broken_ns if c.excused and r.broken_ns is not None else r.closed_ns,
                longest_answer_ms=round(c.stall_ns / 1e6, 1),
                http=r.http,
                tls=r.tls,
                use=r.use,
            ),
            t_ns=r.opened_ns,
            scenario=scenario,
        )


def write_trust(writer: EvidenceWriter, scenario: str, checks: tuple[TrustCheck, ...], t_ns: int) -> None:
    """A record per check."""
    for c in checks:
        writer.write(
            schema.Trust(check=c.check, ok=c.ok, sentence=c.sentence, unit=c.unit, value=c.value, limit=c.limit),
            t_ns=t_ns,
            scenario=scenario,
        )


def write_attempts(writer: EvidenceWriter, scenario: str, measured: Measured, clock: Clock) -> None:
    """A block per SYN schedule: every attempt's outcome."""
    for a in measured.attempts:
        flow = a.trace.flow
        writer.write(
            schema.Flows(
                vantage=flow.vantage,
                service=flow.service,
                transport=flow.transport,
                family=flow.family,
                interval_ns=flow.interval_ns,
                t0_ns=clock.control_ns,
                t1_ns=clock.end_ns,
                event_ns=clock.event_ns,
                backends=(),
                flows=(
                    schema.Flow(
                        id=flow.id,
                        src=flow.src,
                        sport=flow.sport,
                        dst=flow.dst,
                        dport=flow.dport,
                        touched=a.touched,
                        first_due_ns=int(a.trace.due[0]),
                        count=len(a.trace.due),
                    ),
                ),
                state=schema.pack_u8(a.trace.state.astype(np.uint8).tobytes()),
                backend=schema.pack_u8(a.trace.backend.astype(np.uint8).tobytes()),
                near=pack_near(_near_failing(a), WITHIN_NS),
                answers=answer_times([a.trace], clock),
            ),
            t_ns=clock.control_ns,
            scenario=scenario,
        )


def write_requests(
    writer: EvidenceWriter, scenario: str, measured: Measured, clock: Clock, backends: Mapping[str, tuple[str, ...]]
) -> None:
    """A block per series of new requests: every request's outcome, on the clock of the flows."""
    for r in measured.requests:
        series, trace = r.trace.series, r.trace
        if not len(trace.due):
            continue
        writer.write(
            schema.Flows(
                vantage=series.vantage,
                service=series.service,
                transport="request" if series.http is None else "http",
                family=series.family,
                interval_ns=series.interval_ns,
                t0_ns=clock.control_ns,
                t1_ns=clock.end_ns,
                event_ns=clock.event_ns,
                backends=backends[series.vantage],
                flows=(
                    schema.Flow(
                        id=series.id,
                        src=series.src,
                        sport=series.base_port,
                        dst=series.dst,
                        dport=series.dport,
                        touched=r.touched,
                        first_due_ns=int(trace.due[0]),
                        count=len(trace.due),
                        judged_from_ns=r.start_ns,
                    ),
                ),
                state=schema.pack_u8(_request_states(trace).tobytes()),
                backend=schema.pack_u8(trace.backend.astype(np.uint8).tobytes()),
            ),
            t_ns=clock.control_ns,
            scenario=scenario,
        )


def _request_states(trace: RequestTrace) -> Bytes:
    """Requests in the words of probes: answered, refused, reset, late, corrupt (a wrong answer), lost, or not sent."""
    words = {
        Outcome.OK: schema.ANSWERED,
        Outcome.LATE: schema.LATE,
        Outcome.REFUSED: schema.REFUSED,
        Outcome.UNREACHABLE: schema.REFUSED,
        Outcome.RESET: schema.RESET,
        Outcome.WRONG_STATUS: schema.CORRUPT,
        Outcome.NO_IDENTITY: schema.CORRUPT,
        Outcome.TLS_ERROR: schema.CORRUPT,
        Outcome.MALFORMED: schema.CORRUPT,
        Outcome.NOT_SENT: schema.NOT_SENT,
        Outcome.UNDER_WAY: schema.NOT_SENT,
    }
    table = np.full(256, schema.LOST, np.uint8)
    for outcome, state in words.items():
        table[outcome] = state
    found = table[trace.outcome]
    return np.where((found == schema.ANSWERED) & ~trace.good(), np.uint8(schema.LATE), found)


def write_load(writer: EvidenceWriter, scenario: str, load: LoadRun | None, clock: Clock) -> None:
    """What Locust did in each phase, from each vantage that it has a worker for."""
    if load is None:
        return
    parts: tuple[tuple[Literal["control", "fault", "recovery"], int, int], ...] = (
        ("control", clock.control_ns, clock.event_ns),
        ("fault", clock.event_ns, clock.heal_ns),
        ("recovery", clock.heal_ns, clock.end_ns),
    )
    for vantage in load.vantages:
        for phase, since, until in parts:
            if until > since:
                writer.write(load.figures(vantage, phase, since, until), t_ns=since, scenario=scenario)
