"""What one scenario measured, as plain values: per flow, per connection, per vantage. Pure; it holds nothing against a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from probes.attempts import Attempts, attempts_of
from probes.connections import ConnectionRecord
from probes.episodes import P99_NEEDS, FlowLoss, black_holes, flow_loss, milliseconds
from probes.flows import ANSWERED, LATE, LOST, NOT_SENT, FlowTrace
from probes.packets import Transport
from probes.requests import Failing, Outcome, RequestTrace, failing
from reports.evidence.schema import NewConnections, Percentiles, VantageFigures
from scenarios.verdict.facts import Part


@dataclass(frozen=True, slots=True)
class Clock:
    """The instants of a scenario, CLOCK_MONOTONIC ns, in order. `event_ns` is the Convergence Event Instant; `end_ns` ends the
    recovery for probes and requests, which may be answered for 2 s more; `over_ns` for connections, of which the last idle ones were
    asked shortly before.
    """

    control_ns: int
    event_ns: int
    heal_ns: int
    end_ns: int
    over_ns: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "over_ns", max(self.over_ns, self.end_ns))

    def span(self, part: Part) -> tuple[int, int]:
        """From when to when samples are of this part."""
        return (self.event_ns, self.heal_ns) if part == "fault" else (self.heal_ns, self.end_ns)


@dataclass(frozen=True, slots=True)
class FlowResult:
    """One flow: `fault` is what it lost from the event to the heal, `reversion` from the heal to the end.

    `start_ns`: since when probes count to the fault, those on their way at the event among them; `under_way_ns`: by how much the
    first of these that was lost had waited longer than usual. `named`: who answered in the control window.
    """

    trace: FlowTrace
    touched: bool
    control_lost: int
    fault: FlowLoss
    reversion: FlowLoss
    start_ns: int
    under_way_ns: int
    named: frozenset[str] = frozenset()

    def answered_by_it(self) -> FlowResult:
        """The same, touched: an answer in the control window bore the element's name."""
        return replace(self, touched=True)


@dataclass(frozen=True, slots=True)
class AttemptsResult:
    """What became of the SYNs of one schedule: in the control window, from the event (`start_ns`, or a little before: those that
    were on their way) to the heal, and after it. `touched`: one of them crossed the element."""

    trace: FlowTrace
    control_failed: int
    fault: Attempts
    reversion: Attempts
    start_ns: int = 0
    touched: bool = False


@dataclass(frozen=True, slots=True)
class RequestsResult:
    """What became of the new requests of one series, split as SYNs are. `named`: who answered in the control window."""

    trace: RequestTrace
    control: Failing
    fault: Failing
    reversion: Failing
    start_ns: int
    touched: bool
    named: frozenset[str] = frozenset()

    def answered_by_it(self) -> RequestsResult:
        """The same, touched: an answer in the control window bore the element's name."""
        return replace(self, touched=True)


@dataclass(frozen=True, slots=True)
class ConnectionResult:
    """One connection that was there at the event, or that broke after it. `own`: it ended at a failed element; None: that cannot be
    told.

    `stall_ns`: the longest that an answer was waited for from the event to the heal. `excused`: it ended as its service ends
    connections, for its age, or as names change there at rest: counted, and not broken.
    """

    record: ConnectionRecord
    touched: bool
    own: bool | None
    at_event: bool
    phase: str | None  # in which it broke: control, fault, recovery; None: it did not
    stall_ns: int = 0
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything a verdict needs, besides trust."""

    interval_ns: int
    flows: tuple[FlowResult, ...]
    connections: tuple[ConnectionResult, ...]
    attempts: tuple[AttemptsResult, ...] = ()
    clock: Clock | None = None
    requests: tuple[RequestsResult, ...] = ()

    def attempts_of(self, *, touched: bool) -> list[AttemptsResult]:
        """The SYN schedules of which one crossed the element, or the others."""
        return [a for a in self.attempts if a.touched == touched]

    def requests_of(self, *, touched: bool) -> list[RequestsResult]:
        """The series of new requests of which one crossed the element or was answered by it, or the others."""
        return [r for r in self.requests if r.touched == touched]

    def request_fail_ns(self, *, touched: bool) -> int | None:
        """Longest stretch of failed requests from the event to the heal; None where nobody asked."""
        return max((r.fault.request_fail_ns for r in self.requests_of(touched=touched)), default=None)

    def new_fail_ns(self, *, touched: bool, reversion: bool = False) -> int | None:
        """Longest time for which new connections failed; None where nobody tried."""
        parts = [a.reversion if reversion else a.fault for a in self.attempts_of(touched=touched)]
        return max((part.new_fail_ns for part in parts), default=None)

    def new_fail_censored(self, *, touched: bool, reversion: bool = False) -> bool:
        """Whether new connections still failed when the part ended."""
        parts = [a.reversion if reversion else a.fault for a in self.attempts_of(touched=touched)]
        return any(part.censored for part in parts)

    def requests_ended(self, *, touched: bool) -> bool:
        """Whether new requests were answered again before the heal, or never failed."""
        return all(r.fault.ended for r in self.requests_of(touched=touched))

    @property
    def touched(self) -> tuple[FlowResult, ...]:
        return tuple(f for f in self.flows if f.touched)

    @property
    def untouched(self) -> tuple[FlowResult, ...]:
        return tuple(f for f in self.flows if not f.touched)

    def broken(self, *, touched: bool | None = None, phase: str = "fault") -> list[ConnectionResult]:
        """Connections that broke in a phase, of those that were there at the event. (One opened during the fault, perhaps in
        another region, moves back with its routes at the heal: nobody promised otherwise.)"""
        return [
            c
            for c in self.connections
            if c.phase == phase and (phase == "control" or c.at_event) and touched in (None, c.touched)
        ]

    @property
    def strays(self) -> list[ConnectionResult]:
        """Untouched connections that broke all the same, from the event to the end of the recovery."""
        return [c for c in self.connections if c.at_event and not c.touched and c.phase in ("fault", "recovery")]

    @property
    def established(self) -> list[ConnectionResult]:
        return [c for c in self.connections if c.at_event]

    @property
    def control_lost(self) -> int:
        return sum(f.control_lost for f in self.flows) + sum(a.control_failed for a in self.attempts)

    @property
    def under_way_ns(self) -> int | None:
        """By how much a lost probe had waited longer at the event than answers of its flow usually take, at most."""
        return max((f.under_way_ns for f in self.flows), default=None)

    def late_answer_ns(self, t0_ns: int, t1_ns: int) -> int | None:
        """By how much the slowest answer to what was due from the event on in [t0, t1), on a way that was not touched, was slower than
        usual; None without such a way."""
        return max(
            (_late_answer_ns(f.trace, max(t0_ns, f.start_ns), t1_ns, f.start_ns) for f in self.untouched), default=None
        )

    @property
    def reversion_lost(self) -> int:
        return sum(f.reversion.lost for f in self.flows)

    @property
    def reversion_broken(self) -> int:
        """Every connection that the heal broke, those too that were opened elsewhere while the fault lasted."""
        return sum(1 for c in self.connections if c.phase == "recovery")


def _part(trace: FlowTrace, start_ns: int, end_ns: int, interval_ns: int) -> FlowLoss:
    first, after = np.searchsorted(trace.due, (start_ns, end_ns))
    return flow_loss(trace.due[first:after], trace.state[first:after], interval_ns)


def _impaired_before(trace: FlowTrace, end_ns: int) -> int:
    state = trace.state[: np.searchsorted(trace.due, end_ns)]
    return int(np.count_nonzero((state != ANSWERED) & (state != NOT_SENT)))


LOOKED_BACK, AT_MOST = 10, 10
"""Intervals: how far back answers show how long a probe takes now, and how long it may have been on its way at the event."""


def on_its_way_ns(trace: FlowTrace, event_ns: int) -> int:
    """How long before the event a probe may have left and still have been on its way when it happened: Δ; or as long as the
    slowest answered one of the last ten waited, where CPUs are busy with the injection; or back to the last one that was
    answered at all, since who is stopped answers none of those that wait. Never more than ten Δ."""
    step = trace.flow.interval_ns
    first, after = np.searchsorted(trace.due, (event_ns - max(LOOKED_BACK, AT_MOST) * step, event_ns))
    due, state, took = trace.due[first:after], trace.state[first:after], trace.answer_ns(first, after)
    recent = (state == ANSWERED) & (due >= event_ns - LOOKED_BACK * step)
    slowest = int(took[recent].max(initial=0))
    silent = (state == LOST) | (state == LATE)
    heard = ~silent & (state != NOT_SENT)
    waiting = event_ns - int(due[silent & (due > due[heard].max(initial=0))].min(initial=event_ns))
    return min(max(step, slowest, waiting), AT_MOST * step)


LONGER_NS = 50_000_000
"""What had waited for so much longer at the event than anything of its kind at rest began to wait before it: loss at rest."""

NO_WAIT_KNOWN_NS = 1_000_000_000
"""What a connection may usually wait of which no answer is known: within a second each has one."""


def measure_flow(trace: FlowTrace, clock: Clock, *, touched: bool, backends: Sequence[str] = ()) -> FlowResult:
    """Splits a flow at the event and the heal. A probe that was on its way at the event counts to the fault. `backends`: the names
    that its answers bear by number.

    A loss that goes on until the heal is censored: it was the heal that ended it.
    """
    step = trace.flow.interval_ns
    start = clock.event_ns - on_its_way_ns(trace, clock.event_ns)
    return FlowResult(
        trace=trace,
        touched=touched,
        control_lost=_impaired_before(trace, start),
        fault=_part(trace, start, clock.heal_ns, step),
        reversion=_part(trace, clock.heal_ns, clock.end_ns, step),
        start_ns=start,
        under_way_ns=_waited_ns(trace, start, clock.event_ns),
        named=_named(trace, start, backends),
    )


def _named(trace: FlowTrace, until_ns: int, backends: Sequence[str]) -> frozenset[str]:
    """Who answered the probes that were due until then."""
    until = int(np.searchsorted(trace.due, until_ns))
    numbers = np.unique(trace.backend[:until][trace.state[:until] == ANSWERED])
    return frozenset(backends[int(i)] for i in numbers if i < len(backends))


def _waited_ns(trace: FlowTrace, start_ns: int, event_ns: int) -> int:
    """By how much the first lost one of the probes that count to the fault though they were due before the event had waited longer
    than answers usually take (their median): loss that may be nobody's but that of who kept it waiting. 0 where none was lost."""
    first, after = np.searchsorted(trace.due, (start_ns, event_ns))
    due, state = trace.due[first:after], trace.state[first:after]
    lost = due[(state != ANSWERED) & (state != NOT_SENT)]
    if not lost.size:
        return 0
    return max(0, event_ns - int(lost[0]) - max(trace.flow.interval_ns, _usual_ns(trace, int(first))))


def _late_answer_ns(trace: FlowTrace, t0_ns: int, t1_ns: int, usual_until_ns: int) -> int:
    """How long the slowest answer in [t0, t1) took beyond what was usual until then."""
    usual, first, after = map(int, np.searchsorted(trace.due, (usual_until_ns, t0_ns, t1_ns)))
    took = trace.answer_ns(first, after)[trace.state[first:after] == ANSWERED]
    return max(0, int(took.max(initial=0)) - _usual_ns(trace, usual))


def _usual_ns(trace: FlowTrace, after: int) -> int:
    """How long answers to the probes before number `after` usually took: the median; 0 without any."""
    took = trace.answer_ns(0, after)[trace.state[:after] == ANSWERED]
    return int(np.median(took)) if took.size else 0


def measure_attempts(trace: FlowTrace, clock: Clock, *, touched: bool) -> AttemptsResult:
    """Splits a schedule of SYNs as `measure_flow` splits a flow."""
    start = clock.event_ns - on_its_way_ns(trace, clock.event_ns)
    return AttemptsResult(
        trace,
        _impaired_before(trace, start),
        attempts_of(trace, start, clock.heal_ns),
        attempts_of(trace, clock.heal_ns, clock.end_ns),
        start,
        touched,
    )


def measure_requests(
    trace: RequestTrace, backends: Sequence[str], clock: Clock, *, touched: bool, straddle_ns: int = 0
) -> RequestsResult:
    """Splits a series of requests. One that was due before the event and ended after it counts to the fault, unless it had waited
    clearly longer by then than any at rest (`LONGER_NS`). An answer without a name is a wrong one where none lacked it in the control
    window. `straddle_ns`: how exactly it is known that an answer came within 2 s."""
    at_rest = (trace.due >= clock.control_ns) & (trace.done < clock.event_ns)
    if np.any((trace.outcome == Outcome.NO_IDENTITY) & at_rest):
        trace = trace.unnamed()
    usual_ns = int((trace.done - trace.due)[at_rest & (trace.outcome == Outcome.OK)].max(initial=0))
    under_way = (trace.due < clock.event_ns) & (trace.done >= clock.event_ns) & trace.known()
    under_way &= trace.due >= clock.event_ns - usual_ns - LONGER_NS
    start = int(trace.due[under_way].min(initial=clock.event_ns))
    control = (trace.due >= clock.control_ns) & (trace.due < start)
    named = {
        backends[i] for i in np.unique(trace.backend[control & (trace.outcome == Outcome.OK)]) if i < len(backends)
    }
    return RequestsResult(
        trace,
        failing(trace, clock.control_ns, start),
        failing(trace, start, clock.heal_ns, straddle_ns),
        failing(trace, clock.heal_ns, clock.end_ns, straddle_ns),
        start,
        touched,
        frozenset(named),
    )


def new_connections(measured: Measured) -> tuple[NewConnections, ...]:
    """What became of new connections from the event to the heal, per vantage, service and family."""
    return tuple(
        NewConnections(
            vantage=a.trace.flow.vantage,
            service=a.trace.flow.service,
            family=a.trace.flow.family,
            attempts=a.fault.attempts,
            accepted=a.fault.accepted,
            refused=a.fault.refused,
            reset=a.fault.reset,
            silent=a.fault.silent,
            new_fail_ms=a.fault.new_fail_ns / 1e6,
            censored=a.fault.censored,
            accept=_accept(a.fault),
        )
        for a in measured.attempts
    )


def _accept(found: Attempts) -> Percentiles:
    def ms(share: float) -> float | None:
        value = found.accept_percentile_ns(share)
        return None if value is None else round(value / 1e6, 2)

    enough = found.accepted >= P99_NEEDS
    return Percentiles(n=found.accepted, p50=ms(0.5), p95=ms(0.95), p99=ms(0.99) if enough else None, max=ms(1.0))


def classify_connection(
    record: ConnectionRecord, clock: Clock, *, touched: bool, own: bool | None, excused: bool = False
) -> ConnectionResult | None:
    """None for a connection that has nothing to do with this scenario: broken before it, closed before the event (by us, as all are
    that are opened anew, or as its protocol provides), or opened after it. `excused`: its end breaks nothing. One that broke after
    the event by a silence that had begun before is broken at rest."""
    if record.broken_ns is not None and record.broken_ns < clock.control_ns:
        return None
    if record.opened_ns >= clock.end_ns or _closed(record, clock.event_ns):
        return None
    phase = None
    if record.broken_ns is not None and record.broken_ns < clock.over_ns and not excused:
        began = record.unanswered_ns if record.unanswered_ns is not None else record.broken_ns
        if record.broken_ns < clock.event_ns or _waited_already(record, clock.event_ns):
            phase = "control"
        elif record.broken_ns < clock.heal_ns or began < clock.heal_ns:
            phase = "fault"
        else:
            phase = "recovery"
    return ConnectionResult(
        record=record,
        touched=touched,
        own=own,
        at_event=record.opened_ns < clock.event_ns
        and phase != "control"
        and not _ended(record, clock.event_ns, excused),
        phase=phase,
        stall_ns=record.longest_wait_ns(clock.event_ns, clock.heal_ns),
        excused=excused,
    )


def _waited_already(record: ConnectionRecord, event_ns: int) -> bool:
    """Whether the silence that broke it had gone on, at the event, clearly longer than any of its own before: no fault did that. What
    ends a connection otherwise, ends it when it does."""
    if record.broken_by != "stall" or record.unanswered_ns is None:
        return False
    waits = (beat.answered_ns - beat.sent_ns for beat in record.beats if beat.answered_ns < event_ns)
    return record.unanswered_ns + max(waits, default=NO_WAIT_KNOWN_NS) + LONGER_NS < event_ns


def _ended(record: ConnectionRecord, t_ns: int, excused: bool) -> bool:
    broken = excused and record.broken_ns is not None and record.broken_ns < t_ns
    return broken or _closed(record, t_ns)


def _closed(record: ConnectionRecord, t_ns: int) -> bool:
    return record.closed_ns is not None and record.closed_ns < t_ns


def vantage_figures(measured: Measured, vantages: Sequence[str]) -> tuple[VantageFigures, ...]:
    """The numbers of each vantage."""
    return tuple(_of_vantage(measured, v) for v in vantages)


def _of_vantage(measured: Measured, vantage: str) -> VantageFigures:
    flows = [f for f in measured.flows if f.trace.flow.vantage == vantage]
    touched = [f.fault for f in flows if f.touched]
    spread = black_holes(touched)

    def ms(value: int | None) -> float | None:
        return None if value is None else milliseconds(value, measured.interval_ns)

    held = [c for c in measured.connections if c.record.vantage == vantage]
    tried = [a for a in measured.attempts if a.trace.flow.vantage == vantage]
    asked = [r for r in measured.requests if r.trace.series.vantage == vantage]
    broken = [c for c in measured.broken() if c.record.vantage == vantage]
    by = {name: sum(1 for c in broken if c.record.broken_by == name) for name in ("reset", "stall", "other-backend")}
    return VantageFigures(
        vantage=vantage,
        flows=len(flows),
        touched=len(touched),
        min_ms=ms(spread.min_ns),
        median_ms=ms(spread.median_ns),
        p99_ms=ms(spread.p99_ns),
        max_ms=ms(spread.max_ns),
        p99_upper_ms=ms(spread.p99_upper_ns),
        lost=sum(f.fault.lost for f in flows),
        connections=sum(1 for c in measured.established if c.record.vantage == vantage),
        broken=len(broken),
        reset=by["reset"],
        stall=by["stall"],
        other_backend=by["other-backend"],
        closed=sum(1 for c in held if (c.record.closed_ns is not None or c.excused) and c.at_event),
        unannounced=sum(1 for c in broken if c.record.broken_by == "closed"),
        request_fail_ms=max((r.fault.request_fail_ns / 1e6 for r in asked), default=None),
        new_fail_ms=max((a.fault.new_fail_ns / 1e6 for a in tried), default=None),
        stall_ms=max((c.stall_ns / 1e6 for c in held if c.at_event), default=None),
        censored=sum(1 for f in flows if f.fault.censored),
    )


def longest_ns(flows: Iterable[FlowResult], *, reversion: bool = False) -> int | None:
    """Longest black hole of these flows; None where there are none."""
    losses = [f.reversion if reversion else f.fault for f in flows]
    return max((x.black_hole_ns for x in losses), default=None)


def elsewhere_ns(measured: Measured) -> int | None:
    """Longest black hole of an untouched flow, fault and reversion together; None where all were touched."""
    return max((f.fault.black_hole_ns + f.reversion.black_hole_ns for f in measured.untouched), default=None)


Group = tuple[str, str, Transport, Literal[4, 6]]


def by_service(flows: Iterable[FlowResult]) -> Mapping[Group, list[FlowResult]]:
    """(vantage, service, transport, family) → its flows in order."""
    grouped: dict[Group, list[FlowResult]] = {}
    for f in flows:
        flow = f.trace.flow
        grouped.setdefault((flow.vantage, flow.service, flow.transport, flow.family), []).append(f)
    return grouped
