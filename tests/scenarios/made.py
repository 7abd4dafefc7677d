"""Makes measurements by hand for tests of what is concluded from them. It starts nothing and measures nothing.

Time is in steps of Δ: control from 0, the event at 100, the heal at 300, the end at 400.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np
from scenarios.verdict.old import Judged, judge

from probes.connections import ConnectionRecord, Heartbeat
from probes.flows import ANSWERED, LOST, NOT_SENT, FlowTrace
from probes.packets import ProbeFlow
from probes.trust import TrustCheck
from reports.evidence.schema import Judgement
from scenarios.faults.base import FaultPlan
from scenarios.measured import Clock, ConnectionResult, FlowResult, Measured, classify_connection, measure_flow
from topologies.budget import Budget
from topologies.linux.sights import PER_SLOT, SLOTS, Slots

STEP = 10_000_000
CONTROL, EVENT, HEAL, END = 0, 100, 300, 400
CLOCK = Clock(CONTROL * STEP, EVENT * STEP, HEAL * STEP, END * STEP)
PLAN = FaultPlan("kill-node", "l4-1", "l4", ("l4-1",), "Killed L4 node l4-1 silently", "L4 node l4-1")
OK = TrustCheck("prober", True, 0.0, 1000.0, "ms", "Every prober was running.")
BAD = TrustCheck("prober", False, None, 1000.0, "ms", "The prober of us has ended.")

BrokenBy = Literal["reset", "stall", "other-backend", "closed"]


def trace(
    lost: Iterable[int] = (), *, not_sent: Collection[int] = (), phase_ns: int = 0, number: int = 0, kind: int = LOST
) -> FlowTrace:
    """A flow whose probe i is due `phase_ns` after step i; those in `lost` are in the state `kind`."""
    state = np.full(END, ANSWERED, np.uint8)
    state[list(lost)] = kind
    state[list(not_sent)] = NOT_SENT
    due = np.arange(END, dtype=np.int64) * STEP + phase_ns
    zeros, never = np.zeros(END, np.int64), np.zeros(END, np.bool_)
    flow = ProbeFlow(number, "us", "echo", "10.0.0.1", 20000 + number, "203.0.113.20", 7, STEP, phase_ns)
    return FlowTrace(flow, np.arange(END, dtype=np.int64), due, due, zeros, due, np.zeros(END, np.uint8), state, never)


def flow(lost: Iterable[int] = (), *, touched: bool = True, number: int = 0) -> FlowResult:
    """A measured flow that lost these probes."""
    return measure_flow(trace(lost, number=number), CLOCK, touched=touched)


def record(
    *,
    opened: float = -50,
    broken: float | None = None,
    unanswered: float | None = None,
    by: BrokenBy = "stall",
    backend: str = "l7-1",
    beats: Sequence[tuple[float, float]] = (),
    waiting: float | None = None,
) -> ConnectionRecord:
    """A connection opened and broken at these steps; `beats`: when heartbeats were sent and answered; `waiting`: when one was sent
    that has no answer."""

    def ns(at: float | None) -> int | None:
        return None if at is None else round(at * STEP)

    return ConnectionRecord(
        "us", 0, 0, "10.0.0.1", 24000, "203.0.113.10", 80, round(opened * STEP), backend=backend, unanswered_ns=ns(unanswered),
        broken_ns=ns(broken), broken_by=None if broken is None else by,
        beats=tuple(Heartbeat(round(s * STEP), round(a * STEP), 200, backend) for s, a in beats), waiting_ns=ns(waiting),
    )  # fmt: skip


def connection(*, broken: float | None = None, touched: bool = True, own: bool = False) -> ConnectionResult:
    """A connection that was there from before the control window; `own`: its backend was the killed node."""
    found = classify_connection(
        record(broken=broken, unanswered=None if broken is None else broken - 1, backend=PLAN.target if own else "l7-1"),
        CLOCK, touched=touched, failed=PLAN.nodes,
    )  # fmt: skip
    assert found is not None
    return found


def measured(flows: Iterable[FlowResult] = (), connections: Iterable[ConnectionResult] = ()) -> Measured:
    return Measured(STEP, tuple(flows), tuple(connections))


def clean(*more: FlowResult, connections: Iterable[ConnectionResult] = ()) -> Measured:
    """Flows and connections across the element and elsewhere that lost nothing, and these besides."""
    flows = (flow(number=1), flow(number=2, touched=False), *more)
    return measured(flows, (connection(), connection(touched=False), *connections))


def judged(given: Measured, budget: Budget | None, *checks: TrustCheck) -> Judged:
    """The verdict on a kill of l4-1 under the budget `kill-node/l4`."""
    return judge(PLAN, given, budget, "kill-node/l4" if budget else None, checks or (OK,), 1.0)


def broke(found: Judged) -> set[str]:
    """The figures whose budget was broken."""
    return {row.what for row in found.judgements if row.ok is False}


def row(found: Judged, what: str) -> Judgement:
    return next(r for r in found.judgements if r.what == what)


def slots(seqs: Iterable[int]) -> Slots:
    """What the wire has noted once these probes passed, one after another."""
    found = np.zeros(SLOTS, np.uint64)
    for seq in seqs:
        number, at = seq // PER_SLOT, seq // PER_SLOT % SLOTS
        before = int(found[at]) if int(found[at]) >> 32 == number else number << 32
        found[at] = before | 1 << seq % PER_SLOT
    return found
