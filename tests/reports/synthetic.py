"""Evidence as a run would leave it, made up: three vantages, 50 flows each at 10 ms, with outages of chosen lengths.

It stands in for the harness in tests of the reports, and must not import anything of it but the evidence schema.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from reports.evidence.schema import (
    ANSWERED,
    LOST,
    NOT_A_BACKEND,
    NOT_SENT,
    BlackHole,
    Connection,
    Cpu,
    Episode,
    Event,
    Fault,
    Flow,
    Flows,
    Host,
    Judgement,
    Phase,
    Reversion,
    Run,
    Topology,
    TopologyLink,
    TopologyNode,
    TopologyService,
    Trust,
    VantageFigures,
    Verdict,
    VerdictWord,
    pack_u8,
    unpack_per_flow,
)
from reports.evidence.writer import EvidenceWriter

INTERVAL_NS = 10_000_000
SECOND = 1_000_000_000
VANTAGES = ("us", "eu", "ap")
BEFORE, AFTER = 6 * SECOND, 14 * SECOND


@dataclass(frozen=True)
class Plan:
    """What happened in one scenario. `outage_ms` bounds the outage of touched flows; `hit` is the vantage they are of,
    `touched` how many they are; `broken` how many of its connections broke."""

    scenario: str
    fault: str
    target: str
    verdict: VerdictWord
    reason: str
    headline: str
    hit: str = "eu"
    touched: int = 24
    outage_ms: tuple[int, int] = (0, 0)
    budget_ms: int = 0
    broken: int = 0
    unsent: int = 0
    lateness_ms: float = 1.2
    nodes: tuple[str, ...] = ("eu-l4-1",)
    stray_losses: int = 0
    events: tuple[tuple[int, str, str, str], ...] = field(
        default=(
            (151, "bfd", "eu-edge-1", "session to eu-l4-1 down"),
            (152, "bfd", "eu-edge-2", "session to eu-l4-1 down"),
            (155, "bgp", "eu-edge-1", "withdraws 203.0.113.20/32 via eu-l4-1"),
            (171, "bgp", "eu-transit", "best path moves"),
            (188, "fib", "eu-edge-1", "next hop eu-l4-2"),
            (203, "fib", "eu-edge-2", "next hop eu-l4-2"),
        )
    )


PLANS = (
    Plan(
        "drain-l4",
        "drain",
        "eu-l4-1",
        "pass",
        "",
        "Drained eu-l4-1. All 24 flows that crossed it moved without losing a probe (± 10 ms, budget 0 ms); "
        "0 of 40 eu connections broke.",
        events=(
            (12, "agent", "eu-l4-1", "drain: community 65535:0"),
            (240, "bgp", "eu-edge-1", "best path moves"),
        ),
    ),
    Plan(
        "withdraw-l4",
        "withdraw",
        "eu-l4-1",
        "unknown",
        "probes left 12.4 ms late (p99), more than half an interval of 10 ms; the host was starved of CPU",
        "Withdrew eu-l4-1, but the instrument cannot be trusted: its probes left 12.4 ms late (p99, limit 5 ms).",
        unsent=60,
        lateness_ms=12.4,
    ),
    Plan(
        "kill-l4",
        "kill-node",
        "eu-l4-1",
        "fail",
        "black_hole 410 ms is over its budget of 300 ms",
        "Killed eu-l4-1 silently. Clients in eu saw a black hole of 410 ms (± 10 ms, 24 flows), over the budget of "
        "300 ms; 3 of 40 eu connections broke. No other vantage lost a probe.",
        outage_ms=(170, 410),
        budget_ms=300,
        broken=3,
    ),
    Plan(
        "kill-region",
        "kill-region",
        "eu",
        "pass",
        "",
        "Killed region eu. Its clients saw a black hole of 380 ms (± 10 ms, longest of 50 flows; budget 500 ms). "
        "Nothing was lost elsewhere, and 0 of 80 connections outside eu broke.",
        touched=50,
        outage_ms=(190, 380),
        budget_ms=500,
        broken=40,
        nodes=("eu-transit", "eu-edge-1", "eu-edge-2", "eu-l4-1", "eu-l4-2", "eu-l7-1", "eu-l7-2"),
    ),
)


def run(event: str, verdict: VerdictWord | None = None) -> Run:
    return Run(
        event="start" if event == "start" else "end",
        run_id="20260302T021407Z-7f3a",
        started_utc="2026-03-02T02:14:07Z",
        argv=("nospof", "demo"),
        version="0.1.0",
        host=Host(cores=2, kernel="6.12.9", memory_mib=24_000),
        topology="topologies/reference/reference.clab.yml",
        contract="topologies/reference/reference.contract.yml",
        reproduce="./nospof demo --topology topologies/reference/reference.clab.yml",
        commit="a1b2c3d4e5f60718293a4b5c6d7e8f9012345678",
        boot_s=8.42 if event == "end" else None,
        verdict=verdict,
        wall_s=131.6 if event == "end" else None,
        cpu=Cpu(0.81, 0.22) if event == "end" else Cpu(),
    )


def topology() -> Topology:
    roles = ("transit", "edge", "edge", "l4", "l4", "l7", "l7", "app", "app", "control", "client")
    nodes = tuple(
        TopologyNode(name=f"{region}-{role}-{n}", kind="linux", role=role, region=region)
        for region in VANTAGES
        for n, role in enumerate(roles)
    )
    links = tuple(
        TopologyLink(a=a.name, a_if="eth1", b=b.name, b_if="eth2", mtu=1500) for a, b in itertools.pairwise(nodes)
    )
    services = (
        TopologyService(name="web", vip=("203.0.113.10",), port=80, protocol="http"),
        TopologyService(name="echo", vip=("203.0.113.20",), port=7, protocol="udp"),
    )
    return Topology(name="reference", nodes=nodes, links=links, services=services, digest="sha256:91c4d0e2a7b35f68")


def block(plan: Plan, vantage: str, event_ns: int, dice: random.Random, flows: int = 50) -> Flows:
    """One vantage's probes: the touched flows of the hit vantage lose everything for a random part of the outage."""
    t0, t1 = event_ns - BEFORE, event_ns + AFTER
    count = (t1 - t0) // INTERVAL_NS
    made, states, backends = [], bytearray(), bytearray()
    at = VANTAGES.index(vantage)
    for n in range(flows):
        touched = vantage == plan.hit and n < plan.touched
        first = t0 + n * INTERVAL_NS // flows
        state = bytearray([ANSWERED]) * count
        start = -(-(event_ns - first) // INTERVAL_NS)
        if touched and plan.outage_ms[1]:
            # The first flow has the longest outage, so that the figures of a plan are exact.
            lost = (plan.outage_ms[1] if n == 0 else dice.randrange(*plan.outage_ms, 10)) // 10
            state[start : start + lost] = bytes([LOST]) * lost
        for _ in range(plan.stray_losses):
            state[dice.randrange(count)] = LOST
        if n < plan.unsent // 10:
            state[start + 40 : start + 50] = bytes([NOT_SENT]) * 10
        named = bytearray([n % 2]) * start + bytearray([(n + touched) % 2]) * (count - start)
        for i, one in enumerate(state):
            if one != ANSWERED:
                named[i] = NOT_A_BACKEND
        states += state
        backends += named
        made.append(
            Flow(
                id=at * flows + n,
                src=f"10.{at}.2.7",
                sport=40_000 + n,
                dst="203.0.113.20",
                dport=7,
                touched=touched,
                first_due_ns=first,
                count=count,
            )
        )
    return Flows(
        vantage=vantage,
        service="echo",
        interval_ns=INTERVAL_NS,
        t0_ns=t0,
        t1_ns=t1,
        event_ns=event_ns,
        backends=(f"{vantage}-l7-1", f"{vantage}-l7-2"),
        flows=tuple(made),
        state=pack_u8(states),
        backend=pack_u8(backends),
    )


def verdict(plan: Plan, blocks: Sequence[Flows], lost: dict[str, list[int]]) -> Verdict:
    figures = []
    for one in blocks:
        touched = [n * 10.0 for n, flow in zip(lost[one.vantage], one.flows, strict=True) if flow.touched]
        broken = plan.broken if one.vantage == plan.hit else 0
        figures.append(
            VantageFigures(
                vantage=one.vantage,
                flows=len(one.flows),
                touched=len(touched),
                lost=sum(lost[one.vantage]),
                connections=40,
                broken=broken,
                reset=broken,
                stall=0,
                other_backend=0,
                censored=0,
                min_ms=min(touched, default=None),
                median_ms=median(touched) if touched else None,
                max_ms=max(touched, default=None),
            )
        )
    longest = max((f.max_ms for f in figures if f.max_ms is not None), default=None)
    judged = plan.verdict != "unknown"
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
        connections=120,
        broken=plan.broken,
        new_fail_ms=longest,
        reversion=Reversion(0, 0),
        vantages=tuple(figures),
        judged=(
            Judgement(
                what="black_hole",
                measured=f"{longest:.0f} ms",
                budget=f"{plan.budget_ms} ms",
                ok=(longest or 0) <= plan.budget_ms if judged else None,
            ),
            Judgement(what="broken", measured=str(plan.broken), budget="own", ok=True if judged else None),
            Judgement(what="elsewhere.black_hole", measured="0 ms", budget="0 ms", ok=True if judged else None),
            Judgement(what="elsewhere.broken", measured="0", budget="0", ok=True if judged else None),
        ),
        reproduce=f"./nospof run {plan.scenario} --target {plan.target}",
    )


def write_scenario(writer: EvidenceWriter, plan: Plan, event_ns: int, seed: int = 7, flows: int = 50) -> None:
    dice = random.Random(seed)
    name = plan.scenario

    def put(
        data: Phase | Fault | Event | Flows | Connection | Trust | Episode | Verdict, t_ns: int, **more: object
    ) -> None:
        node = more.get("node")
        writer.write(data, t_ns=t_ns, acc_ns=50_000, scenario=name, node=str(node) if node else None)

    heal = event_ns + 8 * SECOND
    for phase, start, end in (
        ("steady", event_ns - BEFORE, event_ns - 5 * SECOND),
        ("control", event_ns - 5 * SECOND, event_ns),
        ("fault", event_ns, event_ns + 60_000_000),
        ("observation", event_ns + 60_000_000, heal),
        ("heal", heal, heal + SECOND),
        ("recovery", heal + SECOND, event_ns + AFTER),
    ):
        put(Phase(name=phase, start_ns=start, end_ns=end, ok=True), end)  # type: ignore[arg-type]
    for action, t_ns in (
        ("inject", event_ns),
        ("effective", event_ns + 4_000_000),
        ("heal", heal),
        ("healed", heal + 900_000_000),
    ):
        put(
            Fault(action=action, fault=plan.fault, target=plan.target, nodes=plan.nodes, spread_ns=2_300_000, ok=True),  # type: ignore[arg-type]
            t_ns,
        )
    for ms, source, node, what in plan.events:
        put(Event(source=source, what=what), event_ns + ms * 1_000_000, node=node)
    blocks = [block(plan, vantage, event_ns, dice, flows) for vantage in VANTAGES]
    lost: dict[str, list[int]] = {}
    for one in blocks:
        put(one, one.t1_ns)
        lost[one.vantage] = _lost(one)
    for at, vantage in enumerate(VANTAGES):
        for n in range(40):
            broken = vantage == plan.hit and n < plan.broken
            put(
                Connection(
                    vantage=vantage,
                    id=n,
                    src=f"10.{at}.2.7",
                    sport=50_000 + n,
                    dst="203.0.113.10",
                    dport=80,
                    opened_ns=event_ns - BEFORE,
                    touched=vantage == plan.hit and n < plan.touched,
                    heartbeats=40,
                    backend=f"{vantage}-l7-{n % 2 + 1}",
                    broken_ns=event_ns + (300 + 7 * n) * 1_000_000 if broken else None,
                    broken_by="reset" if broken else None,
                    phase="fault" if broken else None,
                ),
                event_ns + AFTER,
            )
    for check in _trust(plan):
        put(check, event_ns + AFTER)
    put(verdict(plan, blocks, lost), event_ns + AFTER)


def write_run(path: Path, plans: Sequence[Plan] = PLANS, *, ended: bool = True, flows: int = 50) -> Path:
    with EvidenceWriter(path) as writer:
        writer.write(run("start"), t_ns=1)
        writer.write(topology(), t_ns=2)
        for n, plan in enumerate(plans):
            write_scenario(writer, plan, (100 + 30 * n) * SECOND, seed=n, flows=flows)
        if ended:
            words = {plan.verdict for plan in plans}
            whole: VerdictWord = "fail" if "fail" in words else "unknown" if "unknown" in words or not words else "pass"
            writer.write(run("end", whole), t_ns=300 * SECOND)
    return path


def _lost(block_: Flows) -> list[int]:
    return [state.count(bytes([LOST])) for state in unpack_per_flow(block_)]


def _trust(plan: Plan) -> list[Trust]:
    late = plan.lateness_ms
    return [
        Trust(
            check="schedule",
            ok=late <= 5,
            value=late,
            limit=5.0,
            unit="ms",
            sentence=f"open loop, 100 probes/s per flow, phases spread over the interval; p99 of lateness {late} ms",
        ),
        Trust(
            check="harness loss",
            ok=plan.unsent == 0,
            value=float(plan.unsent),
            limit=0.0,
            unit="probes",
            sentence="probes that were due but never sent, and socket drops",
        ),
        Trust(check="control window", ok=True, value=0.0, limit=0.0, unit="probes", sentence="lost before the fault"),
        Trust(
            check="fault bit",
            ok=True,
            value=float(plan.touched),
            limit=10.0,
            unit="flows",
            sentence="flows seen crossing the target in the control window",
        ),
    ]
