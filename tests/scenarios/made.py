"""Makes measurements by hand for tests of what is concluded from them. It starts nothing and measures nothing.

Time is in steps of Δ: control from 0, the event at 100, the heal at 300, the end at 400.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np

from probes.connections import ConnectionRecord, Heartbeat
from probes.flows import ANSWERED, LOST, NOT_SENT, FlowTrace
from probes.packets import ProbeFlow, plan_flows
from probes.requests import Outcome, RequestSeries, RequestTrace
from reports.evidence import schema
from scenarios.catalogue import Entry
from scenarios.conclude import Done
from scenarios.concluded import Found, judgement, verdict_of
from scenarios.died import Deaths
from scenarios.faults.base import FaultPlan
from scenarios.measured import (
    AttemptsResult,
    Clock,
    ConnectionResult,
    FlowResult,
    Measured,
    RequestsResult,
    classify_connection,
    measure_attempts,
    measure_flow,
    measure_requests,
)
from scenarios.trial import held_of, latencies_of, series_of, silent
from scenarios.verdict import Act, Doubt, Heal, Judged, Trial, judge
from scenarios.verdict.facts import Loaded
from topologies.budget import Budget, Judging
from topologies.linux.sights import PER_SLOT, SLOTS, Sights, Slots

STEP = 10_000_000
CONTROL, EVENT, HEAL, END = 0, 100, 300, 400
CLOCK = Clock(CONTROL * STEP, EVENT * STEP, HEAL * STEP, END * STEP)
PLAN = FaultPlan("kill-node", "l4-1", "l4", ("l4-1",), "Killed L4 node l4-1 silently", "L4 node l4-1")
BUDGET = "kill-node/l4"
QUIET_NS = 40 * STEP
"""For so long nothing may have been lost before a fault is healed; else its loss has not ended."""

DEAD = Doubt("prober", "The prober of us has ended.", "hides")
STARVED = Doubt("lab-lateness", "An ordinary process among the lab's was served too late.", "makes", cpu=True)
STOOD_STILL = replace(STARVED, effect="blurs")

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


def connection(
    *, broken: float | None = None, touched: bool = True, own: bool | None = False, number: int = 0
) -> ConnectionResult:
    """A connection that was there from before the control window; `own`: it ended at the killed node. One that broke has its place
    filled at once."""
    seen = record(
        broken=broken, unanswered=None if broken is None else broken - 1, backend=PLAN.target if own else "l7-1"
    )
    found = classify_connection(replace(seen, id=number), CLOCK, touched=touched, own=own)
    assert found is not None
    return found


def connections(*, broken: float | None = None, among: int = 10, **more: Any) -> list[ConnectionResult]:
    """So many of a kind at places of their own, which were filled again two steps after they broke."""
    first = 1000 if broken is None else 2000 + 100 * round(broken)
    found = [connection(broken=broken, number=first + n, **more) for n in range(among)]
    if broken is not None:
        found += [filled(one, broken + 2) for one in found]
    return found


def filled(lost: ConnectionResult, at: float) -> ConnectionResult:
    """The next connection at the same place, opened and answered at this step."""
    opened = replace(record(opened=at, beats=[(at, at)]), id=lost.record.id, incarnation=1)
    found = classify_connection(opened, CLOCK, touched=lost.touched, own=False)
    assert found is not None
    return found


def attempts(failed: Iterable[int] = (), *, touched: bool = True) -> AttemptsResult:
    """A schedule of SYNs of which these failed."""
    (syn,) = plan_flows("us", "10.0.0.1", "web", "203.0.113.10", 80, 1, STEP, transport="tcp")
    return measure_attempts(replace(trace(failed), flow=syn), CLOCK, touched=touched)


def asked(
    failed: Iterable[int] = (), *, touched: bool = True, took_ns: int = 3_000_000, how: Outcome = Outcome.SILENT
) -> RequestsResult:
    """A series of new requests, one a step, of which these failed."""
    outcome = np.full(END, Outcome.OK, np.uint8)
    outcome[list(failed)] = how
    due = np.arange(END, dtype=np.int64) * STEP
    none = np.zeros(END, np.int64)
    one = RequestSeries(0, "us", "web", "10.0.0.1", "203.0.113.10", 80, "web.test", interval_ns=STEP)
    made = RequestTrace(
        one, np.arange(END, dtype=np.int64), due, due + 1, none, none, none, due + took_ns, none.astype(np.uint16),
        none.astype(np.uint16), none.astype(np.uint8), outcome,
    )  # fmt: skip
    return measure_requests(made, ("l7-1",), CLOCK, touched=touched)


def measured(
    flows: Iterable[FlowResult] = (),
    connections: Iterable[ConnectionResult] = (),
    attempts: Iterable[AttemptsResult] = (),
    requests: Iterable[RequestsResult] = (),
) -> Measured:
    return Measured(STEP, tuple(flows), tuple(connections), tuple(attempts), CLOCK, tuple(requests))


def clean(*more: FlowResult, held: Iterable[ConnectionResult] = (), **others: Any) -> Measured:
    """Flows and connections across the element and elsewhere that lost nothing, and these besides."""
    flows = (flow(number=1), flow(number=2, touched=False), *more)
    return measured(flows, (*connections(), connection(touched=False, number=1), *held), **others)


# -- the whole way -------------------------------------------------------------------------------------------------


def trial_of(
    given: Measured, budget: Budget | None, *doubts: Doubt, carries: bool = True, plan: FaultPlan = PLAN, **more: Any
) -> Trial:
    """A trial in which all of this was measured: the fault stood until nothing had been lost for `QUIET_NS`, or until its cap."""
    lost = [e.start_ns + e.lost * STEP for f in given.flows for e in f.fault.episodes]
    lost += [p.start_ns + p.length_ns for a in given.attempts for p in a.fault.periods]
    lost += [s.last_ns + STEP for r in given.requests for s in r.fault.stretches]
    quiet = max(lost, default=0) <= CLOCK.heal_ns - QUIET_NS
    return Trial(
        fault=plan.fault,
        element=plan.element,
        judging=() if budget is None else (Judging(BUDGET, budget, kin=False),),
        planned=plan.planned,
        carries=carries,
        series=series_of(given, quiet=quiet, quiet_ns=QUIET_NS, straddle_ns=0),
        connections=held_of(given),
        until_heal=Loaded(latencies_of(given, touched=True), latencies_of(given, touched=False)),
        after=Loaded(latencies_of(given, touched=True, part="after"), latencies_of(given, touched=False, part="after")),
        doubts=doubts,
        silent=silent(given),
        stood_ns=CLOCK.heal_ns - CLOCK.event_ns,
        **more,
    )


def judged(given: Measured, budget: Budget | None, *doubts: Doubt, **more: Any) -> Judged:
    """The verdict on a kill of l4-1 under the budget `kill-node/l4`."""
    return judge(trial_of(given, budget, *doubts, **more))


def told(
    given: Measured, budget: Budget | None, *doubts: Doubt, plan: FaultPlan = PLAN, earlier: str = "", **more: Any
) -> schema.Verdict:
    """The same as the evidence has it."""
    trial = trial_of(given, budget, *doubts, plan=plan, **more)
    topology = SimpleNamespace(nodes_with_role=lambda _: [SimpleNamespace(name="us")])
    booted = cast(Any, SimpleNamespace(topology=topology))
    return verdict_of(Found(done(plan=plan, earlier=earlier), booted, given, trial, judge(trial), {}, (), "", Deaths()))


def done(*, plan: FaultPlan = PLAN, **more: Any) -> Done:
    """What was done of a trial in which nothing went wrong, and taps saw nothing."""
    entry = Entry("kill-l4", "Silent kill of an L4 node", "node", "l4", plan.fault)
    values: dict[str, Any] = {
        "key": entry.name, "entry": entry, "plan": plan, "clock": CLOCK, "reproduce": "./nospof run kill-l4",
        "before": (), "openings": (), "after": (), "doubts": (), "act": Act(), "heal": Heal(), "quiet": True,
        "quiet_ns": QUIET_NS, "longest_timer_ns": 0, "timers": (), "watched": "", "counters": {}, "counters_at_heal": {},
        "sights": Sights({}),
    }  # fmt: skip
    return Done(**{**values, **more})


def broke(found: Judged) -> set[str]:
    """The figures whose limit was broken."""
    return {row.name for row in found.rows if row.state == "fail"}


def row(found: Judged, what: str) -> schema.Judgement:
    """The one figure of that name, as the evidence has it."""
    (one,) = (judgement(r) for r in found.rows if r.name == what)
    return one


def slots(seqs: Iterable[int]) -> Slots:
    """What the wire has noted once these probes passed, one after another."""
    found = np.zeros(SLOTS, np.uint64)
    for seq in seqs:
        number, at = seq // PER_SLOT, seq // PER_SLOT % SLOTS
        before = int(found[at]) if int(found[at]) >> 32 == number else number << 32
        found[at] = before | 1 << seq % PER_SLOT
    return found
