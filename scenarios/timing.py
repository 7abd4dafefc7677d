"""How long a scenario's flows took to be whole and on their new path, by RFC 6412 and RFC 6414, and which packets were impaired.

Pure; it takes what was measured and turns it into figures of the evidence, and holds nothing against a budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from msgspec import structs

from probes import convergence as by
from probes.flows import ANSWERED, LATE, Bytes, FlowTrace, Ints
from probes.impairments import Impairments, impairments, total
from reports.evidence import schema
from reports.evidence.histogram import histogram, pack_histogram
from scenarios.measured import Clock, FlowResult, Measured


def convergence(measured: Measured) -> schema.Convergence | None:
    """Full Convergence Time of all touched flows, sampled once per probe interval; None without any."""
    clock, step = measured.clock, measured.interval_ns
    if clock is None:
        return None
    flows = [_cut(f.trace, f.start_ns, clock.heal_ns) for f in measured.touched]
    found = by.full_convergence(flows, clock.event_ns, clock.heal_ns, step, step)
    if found is None:
        return None
    return schema.Convergence(
        time=_span(found.time, len(flows)), sampling_ms=found.sampling_ns / 1e6, sustained=found.sustained
    )


def failover(measured: Measured) -> schema.Span | None:
    """The longest failover of a touched flow between its stamps; None where fewer than 16 tell it, or one never came back."""
    clock = measured.clock
    if clock is None or any(f.fault.censored for f in measured.touched):
        return None
    found = by.failover([_switched(f.trace, clock) for f in measured.touched])
    return None if found.time is None else _span(found.time, found.flows)


def route_convergence(measured: Measured) -> schema.Span | None:
    """The longest Route-Specific Convergence Time of a touched flow, counted on its new path; None where no path is told apart."""
    clock = measured.clock
    return None if clock is None else _onto_new_path(measured.touched, clock.event_ns, clock.heal_ns)


def reversion(measured: Measured) -> schema.Reversion:
    """What the heal cost, and how long flows took to settle on another path after it."""
    clock = measured.clock
    return schema.Reversion(
        lost=measured.reversion_lost,
        broken=measured.reversion_broken,
        impaired=None if clock is None else impaired(measured.flows, clock.heal_ns, clock.end_ns),
        time=None if clock is None else _onto_new_path(measured.touched, clock.heal_ns, clock.end_ns),
    )


def with_impaired(figures: Iterable[schema.VantageFigures], measured: Measured) -> tuple[schema.VantageFigures, ...]:
    """The same figures, each with what of its vantage's probes was answered and impaired from the event to the heal."""
    clock = measured.clock
    if clock is None:
        return tuple(figures)
    return tuple(
        structs.replace(one, impaired=impaired(_of(measured, one.vantage), None, clock.heal_ns)) for one in figures
    )


def impaired(flows: Iterable[FlowResult], t0_ns: int | None, t1_ns: int) -> schema.Impaired | None:
    """What was answered and impaired of the probes due in [t0, t1), t0 None: from when they count to the fault; None without any."""
    sums = total(impairments(f.trace, f.start_ns if t0_ns is None else t0_ns, t1_ns) for f in flows)
    return (
        None
        if sums == Impairments(lost=sums.lost)
        else schema.Impaired(sums.late, sums.corrupt, sums.duplicate, sums.reordered)
    )


def answer_times(traces: Sequence[FlowTrace], clock: Clock) -> tuple[schema.AnswerTimes, ...]:
    """How long answers took before the fault, during it and after the heal; a phase without any answer is left out."""
    parts: tuple[tuple[Literal["control", "fault", "recovery"], int, int], ...] = (
        ("control", clock.control_ns, clock.event_ns),
        ("fault", clock.event_ns, clock.heal_ns),
        ("recovery", clock.heal_ns, clock.end_ns),
    )
    found = []
    for phase, t0_ns, t1_ns in parts:
        waits = [_waits(trace, t0_ns, t1_ns) for trace in traces]
        whole = np.concatenate(waits) if waits else np.zeros(0, np.int64)
        if whole.size:
            found.append(schema.AnswerTimes(phase=phase, histogram=pack_histogram(histogram(whole))))
    return tuple(found)


def _of(measured: Measured, vantage: str) -> list[FlowResult]:
    return [f for f in measured.flows if f.trace.flow.vantage == vantage]


def _switched(trace: FlowTrace, clock: Clock) -> by.Span | None:
    marks = by.path_marks(trace, clock.event_ns, clock.heal_ns)
    return None if marks is None else by.switch_span(trace.due, marks, clock.event_ns, trace.flow.interval_ns)


def _waits(trace: FlowTrace, t0_ns: int, t1_ns: int) -> Ints:
    first, after = map(int, np.searchsorted(trace.due, (t0_ns, t1_ns)))
    state, took = trace.state[first:after], trace.answer_ns(first, after)
    # a stamp converted from a clock that is slewed may come out a little before the other
    waits: Ints = np.maximum(took[((state == ANSWERED) | (state == LATE)) & (trace.rx[first:after] > 0)], 0)
    return waits


def _cut(trace: FlowTrace, t0_ns: int, t1_ns: int) -> tuple[Ints, Bytes]:
    first, after = np.searchsorted(trace.due, (t0_ns, t1_ns))
    return trace.due[first:after], trace.state[first:after]


def _onto_new_path(flows: Iterable[FlowResult], event_ns: int, end_ns: int) -> schema.Span | None:
    found = []
    for f in flows:
        trace = f.trace
        marks = by.path_marks(trace, event_ns, end_ns)
        if marks is None:
            continue
        first, after = np.searchsorted(trace.due, (event_ns, end_ns))
        part = slice(int(first), int(after))
        step = trace.flow.interval_ns
        found.append(by.route_specific(trace.due[part], trace.state[part], marks.backup[part], event_ns, step))
    if not found:
        return None
    highs = [span.high_ns for span in found if span.high_ns is not None]
    longest = by.Span(
        max(s.ns for s in found), max(s.low_ns for s in found), max(highs) if len(highs) == len(found) else None
    )
    return _span(longest, len(found))


def _span(span: by.Span, flows: int) -> schema.Span:
    high = None if span.high_ns is None else span.high_ns / 1e6
    return schema.Span(ms=span.ns / 1e6, low_ms=span.low_ns / 1e6, high_ms=high, flows=flows)
