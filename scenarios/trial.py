"""From what a scenario measured and did to a finished trial, as a verdict wants it. Pure: it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from probes.attempts import attempts_of
from probes.episodes import FlowLoss
from probes.failing import Stretch
from probes.flows import ANSWERED, LATE, FlowTrace
from probes.requests import Failing, RequestTrace
from scenarios.measured import AttemptsResult, Clock, ConnectionResult, FlowResult, Measured, RequestsResult
from scenarios.verdict import Held, Lost, Series
from scenarios.verdict.facts import End, Part, Use

LATENCY_WINDOW_NS = 5_000_000_000
"""`latency` is of the requests due so soon after the event."""

MOST_NS = 2_000_000_000
"""What a failed request counts as."""


def series_of(measured: Measured, *, quiet: bool, quiet_ns: int, straddle_ns: int) -> tuple[Series, ...]:
    """Every probe flow and every schedule.

    `quiet`: the fault stood until all was quiet, so that every loss has ended; else one has not that was seen in the last `quiet_ns`
    before the heal. `straddle_ns`: how exactly 2 s are told.
    """
    clock = measured.clock
    if clock is None:
        return ()
    since = clock.heal_ns if quiet else clock.heal_ns - quiet_ns
    return (
        *(_of_flow(f, clock, since, straddle_ns) for f in measured.flows),
        *(_of_attempts(a, clock, since) for a in measured.attempts),
        *(_of_requests(r, clock, since) for r in measured.requests),
    )


def held_of(measured: Measured) -> tuple[Held, ...]:
    """Every connection that was established at the event."""
    clock = measured.clock
    if clock is None:
        return ()
    again = _again(measured, clock)
    return tuple(_held(c, again.get((c.record.vantage, c.record.id), 0)) for c in measured.established)


def latencies_of(measured: Measured, *, touched: bool, part: Part = "fault") -> tuple[int, ...]:
    """How long the requests due in the 5 s after the event, or after the heal, took, ns; a failed one 2 s."""
    clock = measured.clock
    if clock is None:
        return ()
    first_ns, end_ns = clock.span(part)
    found: list[int] = []
    for r in measured.requests_of(touched=touched):
        t = r.trace
        chosen = t.known() & (t.due >= first_ns) & (t.due < min(end_ns, first_ns + LATENCY_WINDOW_NS))
        took = np.where(t.good(), t.done - t.due, MOST_NS)[chosen]
        found += took.astype(int).tolist()
    return tuple(found)


def latencies_at_rest(trace: RequestTrace) -> list[int]:
    """How long the requests of a window took, ns; a failed one 2 s. At rest nobody has to say whose an answer is."""
    trace = trace.unnamed()
    took: list[int] = np.where(trace.good(), trace.done - trace.due, MOST_NS)[trace.known()].astype(int).tolist()
    return took


def named(flow: FlowTrace | RequestsResult | AttemptsResult) -> str:
    """Which series it is, for a sentence."""
    if isinstance(flow, RequestsResult):
        one = flow.trace.series
        return f"requests of {one.vantage} to {one.service} at {one.dst}"
    if isinstance(flow, AttemptsResult):
        trace = flow.trace
        return f"SYNs of {trace.flow.vantage} to {trace.flow.service} at {trace.flow.dst}"
    f = flow.flow
    where = f"{f.src} port {f.sport} → {f.dst} port {f.dport}" if f.dport else f"{f.src} → {f.dst}"
    return f"{'ping' if f.transport == 'icmp' else f.transport} {where} from {f.vantage}"


# -- series --------------------------------------------------------------------------------------------------------


def _of_flow(f: FlowResult, clock: Clock, since_ns: int, straddle_ns: int) -> Series:
    step = f.trace.flow.interval_ns
    return Series(
        kind="probe",
        vantage=f.trace.flow.vantage,
        name=named(f.trace),
        step_ns=step,
        touched=f.touched,
        fault=_lost(f.fault, f.trace, f.start_ns, clock.heal_ns, clock.event_ns, since_ns, straddle_ns),
        after=_lost(f.reversion, f.trace, clock.heal_ns, clock.end_ns, clock.heal_ns, clock.end_ns, straddle_ns),
        udp=f.trace.transport == "udp",
    )


def _lost(
    loss: FlowLoss, trace: FlowTrace, t0_ns: int, t1_ns: int, from_ns: int, since_ns: int, straddle_ns: int
) -> Lost:
    """`from_ns`: what the end of the last loss is counted from; `since_ns`: loss from then on has not ended."""
    ends = [t1_ns if e.end_ns is None else e.end_ns for e in loss.episodes]
    last = max((_last_ns(e.start_ns, e.lost, loss.interval_ns) for e in loss.episodes), default=-1)
    fewer, more = _straddling(trace, t0_ns, t1_ns, straddle_ns)
    return Lost(
        samples=loss.probes,
        failed=loss.lost,
        figure_ns=loss.black_hole_ns,
        open=last >= since_ns,
        ended_ns=max(0, max(ends, default=from_ns) - from_ns),
        least_ns=loss.black_hole_ns - fewer * loss.interval_ns if fewer else None,
        most_ns=loss.black_hole_ns + more * loss.interval_ns if more else None,
    )


def _last_ns(start_ns: int, lost: int, interval_ns: int) -> int:
    return start_ns + (lost - 1) * interval_ns


def _straddling(trace: FlowTrace, t0_ns: int, t1_ns: int, straddle_ns: int) -> tuple[int, int]:
    """How many late answers may have come in time, and how many that came in time may have been late."""
    first, after = map(int, np.searchsorted(trace.due, (t0_ns, t1_ns)))
    state, took = trace.state[first:after], trace.answer_ns(first, after)
    late = (state == LATE) & (took <= MOST_NS + straddle_ns)
    early = (state == ANSWERED) & (took > MOST_NS - straddle_ns)
    return int(np.count_nonzero(late)), int(np.count_nonzero(early))


def _of_attempts(a: AttemptsResult, clock: Clock, since_ns: int) -> Series:
    def lost(part: Part) -> Lost:
        found, from_ns, cut = (
            (a.fault, clock.event_ns, since_ns) if part == "fault" else (a.reversion, clock.heal_ns, clock.end_ns)
        )
        end = clock.heal_ns if part == "fault" else clock.end_ns
        ended = [end if p.censored else p.start_ns + p.length_ns for p in found.periods]
        return Lost(
            samples=found.attempts,
            failed=found.failed,
            figure_ns=found.new_fail_ns,
            open=any(p.start_ns + p.length_ns > cut for p in found.periods),
            ended_ns=max(0, max(ended, default=from_ns) - from_ns),
        )

    flow = a.trace.flow
    return Series("syn", flow.vantage, named(a), flow.interval_ns, a.touched, lost("fault"), lost("after"))


def _of_requests(r: RequestsResult, clock: Clock, since_ns: int) -> Series:
    def lost(found: Failing, from_ns: int, cut_ns: int) -> Lost:
        least, most = found.range_ns
        return Lost(
            samples=found.requests,
            failed=found.failed,
            figure_ns=found.request_fail_ns,
            open=any(s.last_ns >= cut_ns for s in found.stretches),
            ended_ns=max(0, _end_ns(found.stretches, from_ns) - from_ns),
            least_ns=least if least != found.request_fail_ns else None,
            most_ns=most if most != found.request_fail_ns else None,
        )

    one = r.trace.series
    return Series(
        "request",
        one.vantage,
        named(r),
        one.interval_ns,
        r.touched,
        lost(r.fault, clock.event_ns, since_ns),
        lost(r.reversion, clock.heal_ns, clock.end_ns),
    )


def _end_ns(stretches: Iterable[Stretch], from_ns: int) -> int:
    return max((s.end_ns for s in stretches), default=from_ns)


# -- connections ---------------------------------------------------------------------------------------------------


def _held(c: ConnectionResult, again_ns: int | None) -> Held:
    broke: Part | None = {"fault": "fault", "recovery": "after"}.get(c.phase or "")  # type: ignore[assignment]
    end: End = "untold" if c.own is None else "own" if c.own else "other"
    use: Use = getattr(c.record, "use", "busy")
    return Held(use, c.record.vantage, c.touched, end, broke, again_ns if broke == "fault" else 0)


def _again(measured: Measured, clock: Clock) -> Mapping[tuple[str, int], int | None]:
    """From the event until each place whose connection broke before the heal was served again; None: not before the heal.

    That a connection was opened says nothing yet: the kernel of a frozen node accepts it. What counts is its first answer.
    """
    lost = {(c.record.vantage, c.record.id): c.record.broken_ns for c in measured.broken() if c.record.broken_ns}
    again: dict[tuple[str, int], int | None] = dict.fromkeys(lost)
    for c in measured.connections:
        place, served = (c.record.vantage, c.record.id), c.record.beats[0].answered_ns if c.record.beats else None
        if place in lost and served is not None and lost[place] <= c.record.opened_ns and served < clock.heal_ns:
            took, known = served - clock.event_ns, again[place]
            again[place] = took if known is None else min(known, took)
    return again


# -- at rest -------------------------------------------------------------------------------------------------------


def at_rest(measured: Measured) -> tuple[int, int]:
    """What was lost in the control window: how many samples of all series, and the longest stretch of one, ns, each as its figure is
    told: of probes all that a flow lost, of SYNs and requests those less than a second apart. What a flow lost is taken for as long
    as the fault stood, or its end was watched: a figure that adds up grows with the time."""
    longer = _longer(measured.clock)
    found = [(f.control_lost, round(f.control_lost * f.trace.flow.interval_ns * longer)) for f in measured.flows]
    found += [(a.control_failed, attempts_of(a.trace, t1_ns=a.start_ns).new_fail_ns) for a in measured.attempts]
    found += [(r.control.failed, r.control.request_fail_ns) for r in measured.requests]
    return sum(lost for lost, _ in found), max((longest for _, longest in found), default=0)


def _longer(clock: Clock | None) -> float:
    """How many times as long as the control window the longer of the two windows is that are judged; 1 at least."""
    if clock is None:
        return 1.0
    judged = max(clock.heal_ns - clock.event_ns, clock.end_ns - clock.heal_ns)
    return max(1.0, judged / max(1, clock.event_ns - clock.control_ns))


def silent(measured: Measured) -> tuple[str, ...]:
    """Which vantage, service and family that is played answered nothing in the control window, for a sentence."""
    clock = measured.clock
    if clock is None:
        return ()
    asked: dict[str, bool] = {}
    for trace in (*(f.trace for f in measured.flows), *(a.trace for a in measured.attempts)):
        flow = trace.flow
        first, after = map(int, np.searchsorted(trace.due, (clock.control_ns, clock.event_ns)))
        name = f"{flow.vantage} → {flow.service} {flow.dst}"
        asked[name] = asked.get(name, False) or bool(np.any(trace.state[first:after] == ANSWERED))
    for r in measured.requests:
        one = r.trace.series
        name = f"{one.vantage} → {one.service} {one.dst} (requests)"
        asked[name] = asked.get(name, False) or r.control.requests > r.control.failed
    return tuple(name for name, answered in asked.items() if not answered)
