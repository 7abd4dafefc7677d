"""The verdict of a made-up scenario, its connections, load and checks of the instrument, with figures that fit its probes.

It adds up what the blocks hold; it judges nothing: the plan says what the verdict is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Literal

from reports.evidence.schema import (
    ANSWERED,
    CORRUPT,
    LOST,
    REFUSED,
    BlackHole,
    BrokenBy,
    Connection,
    Convergence,
    Flows,
    Judgement,
    Load,
    NewConnections,
    NewRequests,
    Percentiles,
    Span,
    Stage,
    Trust,
    VantageFigures,
    Verdict,
    unpack_per_flow,
)
from tests.reports.made.flows import AFTER, BEFORE, SECOND
from tests.reports.made.lab import paths
from tests.reports.made.plans import VANTAGES, Plan

CONNECTIONS = 40


def verdict(plan: Plan, blocks: Sequence[Flows], event_ns: int) -> Verdict:
    figures = tuple(_vantage(plan, vantage, blocks) for vantage in VANTAGES)
    longest = max((f.max_ms for f in figures if f.max_ms is not None), default=0.0)
    new_fail = max((f.new_fail_ms or 0.0 for f in figures), default=0.0)
    asked = tuple(_requests(one) for one in blocks if one.transport == "http")
    request_fail = max(one.request_fail_ms for one in asked if one.touched)
    whose = next((flow for one in blocks for flow in one.flows if flow.touched and one.transport == "udp"), None)
    of_longest = f"udp {whose.src} port {whose.sport} → {whose.dst} port {whose.dport} from {plan.hit}" if whose else ""

    ends = [event_ns, *(event_ns + ms * 1_000_000 for _, ms, _, _ in plan.stages)]
    return Verdict(
        scenario=plan.scenario,
        title=plan.scenario,
        fault=plan.fault,
        target=plan.target,
        element=plan.target,
        verdict=plan.verdict,
        reason=plan.reason,
        headline=plan.headline,
        interval_ms=10.0,
        flows=sum(f.flows for f in figures),
        touched=sum(f.touched for f in figures),
        lateness_p99_ms=plan.lateness_ms,
        black_hole_ms=BlackHole(max=longest),
        elsewhere_black_hole_ms=0.0,
        connections=CONNECTIONS * len(VANTAGES),
        broken=plan.broken,
        new_fail_ms=new_fail,
        vantages=figures,
        judged=(
            timed("black_hole", longest, plan.budget_ms, 10, by=of_longest if longest else ""),
            timed("new_fail", new_fail, 500, 10, by=f"SYNs of {plan.hit} to web" if new_fail else ""),
            timed("request_fail", request_fail, 500, 50, given=False, limit_from="new_fail"),
            *_broken(plan, event_ns),
            timed("return", 1_240.0, 60_000, 0, part="after", given=False),
            timed("elsewhere.black_hole", 0.0, 0, 10, where="elsewhere", given=False),
        ),
        request_fail_ms=request_fail,
        new_requests=asked,
        planned=plan.planned,
        kills=plan.kills,
        new_connections=tuple(_attempts(one) for one in blocks if one.transport == "tcp"),
        convergence=Convergence(
            time=Span(ms=longest + 20, low_ms=longest, high_ms=longest + 30.2, flows=plan.touched * 2),
            sampling_ms=10.0,
            sustained=True,
        )
        if longest
        else None,
        route_convergence=Span(ms=longest, low_ms=longest - 10, high_ms=longest + 10, flows=plan.touched)
        if longest
        else None,
        failover=Span(ms=longest + 10, low_ms=longest - 10, high_ms=longest + 10, flows=plan.touched)
        if longest
        else None,
        stages=tuple(
            Stage(name=name, start_ns=start, end_ns=end, acc_ns=1_000_000, node=node, detail=detail)
            for (name, _, node, detail), start, end in zip(plan.stages, ends[:-1], ends[1:], strict=True)
        ),
        paths=paths(plan),
        reproduce=f"./nospof run {plan.scenario} --target {plan.target}",
    )


def timed(
    what: str,
    figure: float,
    limit: float,
    step: float,
    *,
    where: Literal["touched", "elsewhere"] = "touched",
    part: Literal["fault", "after"] = "fault",
    given: bool = True,
    limit_from: str = "",
    by: str = "",
) -> Judgement:
    """A row of a time, in ms, known within `step`."""
    low, high = (max(0.0, figure - step), figure + step) if figure else (0.0, 0.0)
    state: Literal["ok", "fail", "unknown"] = "fail" if low > limit else "ok" if high <= limit else "unknown"
    return Judgement(
        what=what,
        measured=f"{figure:,.0f} ms",
        budget=f"{limit:,.0f} ms",
        ok={"ok": True, "fail": False}.get(state),
        key=what.rpartition(".")[2],
        where=where,
        part=part,
        state=state,
        figure=figure,
        low=low,
        high=high,
        limit=float(limit),
        limit_unit="ms",
        samples=4_800,
        under="kill-node/l4",
        given=given,
        limit_from=limit_from,
        by=by,
        why="the limit lies within the accuracy of the figure" if state == "unknown" else "",
    )


def _broken(plan: Plan, event_ns: int) -> Iterator[Judgement]:
    """A row per use of the connections of the vantage that was hit; those that ended at the failed element may break."""
    mine = [c for c in connections(plan, event_ns) if c.vantage == plan.hit]
    for use in ("busy", "idle", "stream"):
        among = [c for c in mine if c.use == use]
        broken = float(sum(1 for c in among if c.broken_by))
        yield Judgement(
            what="broken",
            measured=f"{broken:.0f} of {len(among)} {use}",
            budget="own",
            ok=True,
            key="broken",
            state="ok",
            unit="connections",
            figure=broken,
            low=broken,
            high=broken,
            limit_unit="own",
            samples=len(mine),
            among=len(among),
            use=use,  # type: ignore[arg-type]
            under="kill-node/l4",
        )


def connections(plan: Plan, event_ns: int) -> Iterator[Connection]:
    ended: tuple[tuple[BrokenBy, int], ...] = (
        ("reset", plan.reset),
        ("stall", plan.stall),
        ("other-backend", plan.moved),
        ("closed", plan.unannounced),
    )
    ways = [*(way for way, size in ended for _ in range(size)), *(["announced"] * plan.closed)]
    for at, vantage in enumerate(VANTAGES):
        hit = vantage == plan.hit
        for n in range(CONNECTIONS):
            way = ways[n] if hit and n < len(ways) else None
            when = event_ns + (300 + 7 * n) * 1_000_000
            by: BrokenBy | None = None if way in (None, "announced") else way  # type: ignore[assignment]
            yield Connection(
                vantage=vantage,
                id=n,
                src=f"10.{at}.2.7",
                sport=50_000 + n,
                dst="203.0.113.10",
                dport=80,
                opened_ns=event_ns - BEFORE,
                touched=hit and n < plan.touched,
                heartbeats=40,
                backend=f"{vantage.removesuffix('-client')}-l7-{n % 2 + 1}",
                broken_ns=when if by else None,
                broken_by=by,
                closed_ns=when if way == "announced" else None,
                use="stream" if n % 20 == 7 else "idle" if n % 3 == 2 else "busy",
                phase="fault" if way else None,
                longest_answer_ms=plan.stall_ms if hit and n == 0 and plan.stall_ms else 3.4,
            )


def load(plan: Plan, event_ns: int) -> Iterator[Load]:
    """A closed loop hides what waited behind the outage; counted from the intended start it shows."""
    for vantage in VANTAGES:
        outage = float(plan.outage_ms[1]) if vantage == plan.hit else 0.0
        calm = Percentiles(n=2480, p50=2.1, p95=3.9, p99=6.2, max=14.8)
        for phase, start, end in (
            ("control", event_ns - 5 * SECOND, event_ns),
            ("fault", event_ns, event_ns + 8 * SECOND),
            ("recovery", event_ns + 9 * SECOND, event_ns + AFTER),
        ):
            struck = phase == "fault" and outage > 0
            failures = (plan.broken if outage else 0) if phase == "fault" else 0
            yield Load(
                vantage=vantage,
                phase=phase,  # type: ignore[arg-type]
                start_ns=start,
                end_ns=end,
                users=10,
                requests=2480 + failures,
                failures=failures,
                raw=Percentiles(n=2480, p50=2.1, p95=4.0, p99=7.4, max=outage + 28.0) if struck else calm,
                corrected=Percentiles(n=2480, p50=2.2, p95=118.0, p99=outage * 0.94, max=outage + 28.0)
                if struck
                else calm,
                failed_by=(("ConnectionResetError", failures),) if failures else (),
            )


def trust(plan: Plan) -> Iterator[Trust]:
    late = plan.lateness_ms
    yield Trust(
        check="schedule",
        ok=late <= 5,
        value=late,
        limit=5.0,
        unit="ms",
        sentence=f"open loop, 100 probes/s per flow, phases spread over the interval; p99 of lateness {late} ms",
    )
    yield Trust(
        check="harness loss",
        ok=plan.unsent == 0,
        value=float(plan.unsent),
        limit=0.0,
        unit="probes",
        sentence="probes that were due but never sent, and socket drops",
    )
    yield Trust(check="control window", ok=True, value=0.0, limit=0.0, unit="probes", sentence="lost before the fault")
    yield Trust(
        check="fault bit",
        ok=True,
        value=float(plan.touched),
        limit=10.0,
        unit="flows",
        sentence="flows seen crossing the target in the control window",
    )


def _vantage(plan: Plan, vantage: str, blocks: Sequence[Flows]) -> VantageFigures:
    mine = [one for one in blocks if one.vantage == vantage and one.transport not in ("tcp", "http")]
    tcp = [_attempts(one) for one in blocks if one.vantage == vantage and one.transport == "tcp"]
    lost = [
        (flow.touched, state.count(LOST))
        for one in mine
        for flow, state in zip(one.flows, unpack_per_flow(one), strict=True)
    ]
    touched = [n * 10.0 for crossed, n in lost if crossed]
    hit = vantage == plan.hit
    return VantageFigures(
        vantage=vantage,
        flows=len(lost),
        touched=len(touched),
        lost=sum(n for _, n in lost),
        connections=CONNECTIONS,
        broken=plan.broken if hit else 0,
        reset=plan.reset if hit else 0,
        stall=plan.stall if hit else 0,
        other_backend=plan.moved if hit else 0,
        unannounced=plan.unannounced if hit else 0,
        closed=plan.closed if hit else 0,
        censored=0,
        min_ms=min(touched, default=None),
        median_ms=median(touched) if touched else None,
        p99_ms=sorted(touched)[-1] if len(touched) >= 100 else None,
        max_ms=max(touched, default=None),
        new_fail_ms=max((one.new_fail_ms for one in tcp), default=None),
        request_fail_ms=max(
            (_requests(one).request_fail_ms for one in blocks if one.vantage == vantage and one.transport == "http"),
            default=None,
        ),
        stall_ms=plan.stall_ms if hit and plan.stall_ms else 3.4,
        impaired=plan.impaired if hit else None,
    )


def _attempts(one: Flows) -> NewConnections:
    states = unpack_per_flow(one)
    whole = b"".join(states)
    refused, silent = whole.count(REFUSED), whole.count(LOST)
    failing = [(state.rfind(LOST) - state.find(LOST) + 1) * 10.0 for state in states if LOST in state]
    failing += [(state.rfind(REFUSED) - state.find(REFUSED) + 1) * 10.0 for state in states if REFUSED in state]
    accepted = len(whole) - refused - silent
    return NewConnections(
        vantage=one.vantage,
        service=one.service,
        family=one.family,
        attempts=len(whole),
        accepted=accepted,
        refused=refused,
        reset=0,
        silent=silent,
        new_fail_ms=max(failing, default=0.0),
        censored=False,
        accept=Percentiles(n=accepted, p50=0.61, p95=1.02, p99=1.9, max=4.2),
    )


def _requests(one: Flows) -> NewRequests:
    (state,) = unpack_per_flow(one)
    heal = (one.event_ns + 8 * SECOND - one.flows[0].first_due_ns) // one.interval_ns
    start = -(-(one.event_ns - one.flows[0].first_due_ns) // one.interval_ns)
    due = state[start:heal]
    failed = len(due) - due.count(ANSWERED)
    counted = (("timeout", due.count(LOST)), ("wrong status", due.count(CORRUPT)), ("refused", due.count(REFUSED)))
    return NewRequests(
        vantage=one.vantage,
        service=one.service,
        family=one.family,
        touched=one.flows[0].touched,
        requests=len(due),
        failed=failed,
        request_fail_ms=failed * one.interval_ns / 1e6,
        ended=True,
        interval_ms=one.interval_ns / 1e6,
        latency=Percentiles(n=len(due) - failed, p50=1.6, p95=4.8, p99=12.7, max=48.2),
        failed_by=tuple((how, number) for how, number in counted if number),
    )
