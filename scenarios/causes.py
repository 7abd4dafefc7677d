"""Joins what a scenario lost with what the watch saw: the events around it, and where a failover's time went. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from probes.watch import TimelineEvent
from probes.watch.decompose import Failure, FirstPacket, decompose
from probes.watch.waits import Wait
from reports.evidence.schema import Stage
from scenarios.faults.base import FaultPlan
from scenarios.measured import Clock, FlowResult, Measured, RequestsResult
from scenarios.record import tuple_of
from scenarios.timers.model import Peer, Timer
from topologies.linux.wired import Crossing


def stages(
    plan: FaultPlan,
    clock: Clock,
    measured: Measured,
    after: Sequence[Crossing],
    events: Sequence[TimelineEvent],
    timers: Sequence[Timer] = (),
) -> tuple[Stage, ...]:
    """Where the time went until the last touched flow was answered again; where no probe was lost, until the last touched series of
    new requests was; where none of these failed, until the last change of a FIB before the heal. `timers`: those that the fault may
    have started, as they were read before it."""
    touched, asked = measured.touched, measured.requests_of(touched=True)
    if not (touched or asked) or any(f.fault.censored for f in touched):
        return ()
    last = max((f for f in touched if f.fault.episodes), key=_recovered_ns, default=None)
    concerned = {(f.trace.flow.src, f.trace.flow.dst) for f in ([last] if last else touched)}
    if last is None:
        concerned |= {(r.trace.series.src, r.trace.series.dst) for r in asked}
    first = FirstPacket(_recovered_ns(last), node=last.trace.flow.vantage) if last else None
    if first is None:
        if not all(r.fault.ended for r in asked):
            return ()
        first = max(map(_served_again, asked), key=lambda f: f.t_ns if f else 0, default=None)
    failure = Failure(
        clock.event_ns,
        nodes=frozenset(plan.nodes),
        ends=frozenset((end.node, end.interface) for link in plan.links for end in link.endpoints),
        destinations=frozenset(address for ends in concerned for address in ends),
        planned=plan.planned,
    )
    if first is not None and first.t_ns < clock.event_ns:
        return ()
    until_heal = [event for event in events if event.t_ns < clock.heal_ns]
    return decompose(until_heal, failure, first, _way(last, after) if last else None, waits_of(timers))


def waits_of(timers: Sequence[Timer]) -> tuple[Wait, ...]:
    """What each timer explains. A hold time had run for a third of it at most when the last keepalive was heard (RFC 4271), and so had
    a dead interval (RFC 2328) and a master down interval (RFC 5798); a check may fail for the first time just after the event."""
    holds = {(t.node, t.peer): t.length_ns for t in timers if not t.restart}
    return tuple(wait for timer in timers for wait in _waits(timer, holds))


def _waits(timer: Timer, holds: Mapping[tuple[str, Peer | None], int]) -> Iterator[Wait]:
    length = timer.length_ns
    if timer.restart:
        hold = holds.get((timer.node, timer.peer), 0)
        yield Wait("restart-timer", timer.node, length - hold, length, str(timer))
    elif timer.peer is not None:
        yield Wait("hold-timer", timer.node, length * 2 // 3, length, str(timer))
    elif timer.source == "keepalived":
        # its timers are of VRRP or of checks: only where an address was taken over it was VRRP's
        yield Wait("advert-interval", timer.node, length * 2 // 3, length, str(timer), takes_over=True)
        yield Wait("health-check", timer.node, length // 3, length, str(timer))
    elif timer.source == "HAProxy":
        yield Wait("health-check", timer.node, length // 3, length, str(timer))


def _recovered_ns(flow: FlowResult) -> int:
    """When the first answer after the flow's last loss came back."""
    ends = [e.end_ns for e in flow.fault.episodes if e.end_ns is not None]
    at = int(np.searchsorted(flow.trace.due, max(ends, default=0)))
    return int(flow.trace.rx[at]) if at < len(flow.trace.due) else 0


def _served_again(asked: RequestsResult) -> FirstPacket | None:
    """The first good answer after a series' last failed request; None where none failed."""
    trace, end_ns = asked.trace, max((s.end_ns for s in asked.fault.stretches), default=None)
    if end_ns is None:
        return None
    at = int(np.searchsorted(trace.due, end_ns))
    return FirstPacket(int(trace.done[at]), node=trace.series.vantage) if at < len(trace.due) else None


def _way(flow: FlowResult, after: Sequence[Crossing]) -> set[str] | None:
    """The nodes that the flow crosses now, there and back; None where no tap saw it."""
    there = tuple_of(flow.trace.flow)
    found = {n for c in after if c.flow in (there, there.reversed()) for n in (c.sender, c.receiver)}
    return found or None
