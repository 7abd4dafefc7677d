"""What one scenario measured, as plain values: per flow, per connection, per vantage. Pure; it holds nothing against a budget."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probes.connections import ConnectionRecord
from probes.episodes import FlowLoss, black_holes, flow_loss, milliseconds
from probes.flows import ANSWERED, NOT_SENT, FlowTrace
from reports.evidence.schema import VantageFigures


@dataclass(frozen=True, slots=True)
class Clock:
    """The instants of a scenario, CLOCK_MONOTONIC ns, in order. `event_ns` is the Convergence Event Instant."""

    control_ns: int
    event_ns: int
    heal_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class FlowResult:
    """One flow: `fault` is what it lost from the event to the heal, `reversion` from the heal to the end."""

    trace: FlowTrace
    touched: bool
    control_lost: int
    fault: FlowLoss
    reversion: FlowLoss


@dataclass(frozen=True, slots=True)
class ConnectionResult:
    """One connection that was there at the event, or that broke after it. `own`: it ended at a failed element."""

    record: ConnectionRecord
    touched: bool
    own: bool
    at_event: bool
    phase: str | None  # in which it broke: control, fault, recovery; None: it did not


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything a verdict needs, besides trust."""

    interval_ns: int
    flows: tuple[FlowResult, ...]
    connections: tuple[ConnectionResult, ...]

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
        return sum(f.control_lost for f in self.flows)

    @property
    def reversion_lost(self) -> int:
        return sum(f.reversion.lost for f in self.flows)

    @property
    def reversion_broken(self) -> int:
        """Every connection that the heal broke, those too that were opened elsewhere while the fault lasted."""
        return sum(1 for c in self.connections if c.phase == "recovery")


def _part(trace: FlowTrace, start_ns: int, end_ns: int, interval_ns: int) -> FlowLoss:
    chosen = (trace.due >= start_ns) & (trace.due < end_ns)
    return flow_loss(trace.due[chosen], trace.state[chosen], interval_ns)


def measure_flow(trace: FlowTrace, clock: Clock, *, touched: bool) -> FlowResult:
    """Splits a flow at the event and the heal. A probe due within Δ before the event was on its way: it counts to the fault.

    A loss that goes on until the heal is censored: it was the heal that ended it.
    """
    step = trace.flow.interval_ns
    start = clock.event_ns - step
    control = (trace.due < start) & (trace.state != ANSWERED) & (trace.state != NOT_SENT)
    return FlowResult(
        trace=trace,
        touched=touched,
        control_lost=int(np.count_nonzero(control)),
        fault=_part(trace, start, clock.heal_ns, step),
        reversion=_part(trace, clock.heal_ns, clock.end_ns, step),
    )


def classify_connection(
    record: ConnectionRecord, clock: Clock, *, touched: bool, failed: Collection[str]
) -> ConnectionResult | None:
    """None for a connection that has nothing to do with this scenario: gone before it, or opened after it."""
    if record.broken_ns is not None and record.broken_ns < clock.control_ns:
        return None
    if record.opened_ns >= clock.end_ns:
        return None
    phase = None
    if record.broken_ns is not None and record.broken_ns < clock.end_ns:
        began = record.unanswered_ns if record.unanswered_ns is not None else record.broken_ns
        if record.broken_ns < clock.event_ns:
            phase = "control"
        elif record.broken_ns < clock.heal_ns or began < clock.heal_ns:
            phase = "fault"
        else:
            phase = "recovery"
    return ConnectionResult(
        record=record,
        touched=touched,
        own=record.backend in failed,
        at_event=record.opened_ns < clock.event_ns and phase != "control",
        phase=phase,
    )


def vantage_figures(measured: Measured, vantages: Sequence[str]) -> tuple[VantageFigures, ...]:
    """The numbers of each vantage."""
    return tuple(_of_vantage(measured, v) for v in vantages)


def _of_vantage(measured: Measured, vantage: str) -> VantageFigures:
    flows = [f for f in measured.flows if f.trace.flow.vantage == vantage]
    touched = [f.fault for f in flows if f.touched]
    spread = black_holes(touched)

    def ms(value: int | None) -> float | None:
        return None if value is None else milliseconds(value, measured.interval_ns)

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
        lost=sum(f.fault.lost for f in flows),
        connections=sum(1 for c in measured.established if c.record.vantage == vantage),
        broken=len(broken),
        reset=by["reset"],
        stall=by["stall"],
        other_backend=by["other-backend"],
        censored=sum(1 for f in flows if f.fault.censored),
    )


def longest_ns(flows: Iterable[FlowResult], *, reversion: bool = False) -> int | None:
    """Longest black hole of these flows; None where there are none."""
    losses = [f.reversion if reversion else f.fault for f in flows]
    return max((x.black_hole_ns for x in losses), default=None)


def elsewhere_ns(measured: Measured) -> int | None:
    """Longest black hole of an untouched flow, fault and reversion together; None where all were touched."""
    return max((f.fault.black_hole_ns + f.reversion.black_hole_ns for f in measured.untouched), default=None)


def by_service(flows: Iterable[FlowResult]) -> Mapping[tuple[str, str], list[FlowResult]]:
    """(vantage, service) → its flows in order."""
    grouped: dict[tuple[str, str], list[FlowResult]] = {}
    for f in flows:
        grouped.setdefault((f.trace.flow.vantage, f.trace.flow.service), []).append(f)
    return grouped
