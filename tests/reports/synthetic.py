"""Evidence as a run would leave it, made up: three vantages, every transport and family at 10 ms, outages of chosen lengths.

It stands in for the harness in tests of the reports, and must not import anything of it but the evidence schema.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from reports.evidence.schema import Cpu, Data, Event, Fault, Host, Phase, Run, VerdictWord
from reports.evidence.writer import EvidenceWriter
from tests.reports.made import figures
from tests.reports.made.flows import AFTER, BEFORE, KINDS, REQUESTED, SECOND, block, episodes, requests
from tests.reports.made.lab import topology
from tests.reports.made.plans import DEMO, PLANS, VANTAGES, Plan

__all__ = ["DEMO", "PLANS", "VANTAGES", "Plan", "run", "topology", "write_run", "write_scenario"]


SERVICES = ("web: judged by SYNs; new requests. Not judged: pings to 203.0.113.10: none is answered, so none is sent",)


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
        services=SERVICES,
    )


def write_scenario(writer: EvidenceWriter, plan: Plan, event_ns: int, seed: int = 7, flows: int = 50) -> None:
    dice = random.Random(seed)

    def put(data: Data, t_ns: int, node: str | None = None) -> None:
        writer.write(data, t_ns=t_ns, acc_ns=50_000, scenario=plan.scenario, node=node)

    heal, end = event_ns + 8 * SECOND, event_ns + AFTER
    for name, start_ns, end_ns in (
        ("steady", event_ns - BEFORE, event_ns - 5 * SECOND),
        ("control", event_ns - 5 * SECOND, event_ns),
        ("fault", event_ns, event_ns + 60_000_000),
        ("observation", event_ns + 60_000_000, heal),
        ("heal", heal, heal + SECOND),
        ("recovery", heal + SECOND, end),
    ):
        put(Phase(name=name, start_ns=start_ns, end_ns=end_ns, ok=True), end_ns)  # type: ignore[arg-type]
    for action, t_ns in (
        ("inject", event_ns),
        ("effective", event_ns + 4_000_000),
        ("heal", heal),
        ("healed", heal + 900_000_000),
    ):
        put(
            Fault(
                action=action,  # type: ignore[arg-type]
                fault=plan.fault,
                target=plan.target,
                nodes=plan.nodes,
                spread_ns=2_300_000,
                ok=True,
                links=plan.links,
            ),
            t_ns,
        )
    for ms, source, node, what, detail in plan.events:
        put(Event(source=source, what=what, detail=detail), event_ns + ms * 1_000_000, node)
    families: tuple[Literal[4, 6], ...] = (4, 6)
    blocks = [block(plan, vantage, kind, event_ns, dice, flows) for vantage in VANTAGES for kind in KINDS]
    blocks += [
        requests(plan, vantage, service, family, event_ns)
        for vantage in VANTAGES
        for service in REQUESTED
        for family in families
    ]
    for one in blocks:
        put(one, one.t1_ns)
        for episode in episodes(one, dice):
            put(episode, episode.start_ns)
    for connection in figures.connections(plan, event_ns):
        put(connection, end)
    for load in figures.load(plan, event_ns):
        put(load, load.end_ns)
    for check in figures.trust(plan):
        put(check, end)
    put(figures.verdict(plan, blocks, event_ns), end)


def write_run(path: Path, plans: Sequence[Plan] = PLANS, *, ended: bool = True, flows: int = 50) -> Path:
    with EvidenceWriter(path) as writer:
        writer.write(run("start"), t_ns=1)
        writer.write(topology(), t_ns=2)
        for n, plan in enumerate(plans):
            write_scenario(writer, plan, (100 + 30 * n) * SECOND, seed=n, flows=flows)
        if ended:
            words = {plan.verdict for plan in plans}
            whole: VerdictWord = "fail" if "fail" in words else "unknown" if "unknown" in words or not words else "pass"
            writer.write(run("end", whole), t_ns=1000 * SECOND)
    return path
