"""The stack at rest as a trial of its own, once a run: nothing is broken, and what does not answer breaks a promise all the same."""

from __future__ import annotations

import time
from contextlib import suppress

from probes.child import ProbeError
from probes.readings import read_prober, read_requester, read_wakeups
from probes.requests import Outcome, RequestTrace
from probes.trust import TrustCheck, TrustInput
from reports.evidence import schema
from reports.evidence.again import AT_REST
from scenarios.answering import FULL_BYTES
from scenarios.bench import Bench
from scenarios.concluded import judgement
from scenarios.doubted import doubts_of, ordinary_lateness_ns
from scenarios.record import write_trust
from scenarios.trial import latencies_at_rest
from scenarios.verdict import Judged
from scenarios.verdict.doubts import Doubt
from scenarios.verdict.steady import ELEMENT, judge_steady
from scenarios.waiting import DeadlineMissed, pass_time, wait_until

KEY = AT_REST
WINDOW_NS = 5_000_000_000
SENT_NS = 200_000_000
"""So long after it was due every request has been sent."""
KEPT_OPEN_S = 2.3
"""So long after it was due the last request has ended, however late."""


def wanted(bench: Bench) -> bool:
    """Whether there is anything to judge: a limit of the contract, or something that answers nobody."""
    contract, found = bench.booted.contract, bench.booted.answering
    return _limit_ns(bench) is not None or bool(found.gone(contract) or found.too_large_for_all(contract))


def judge_at_rest(bench: Bench, key: str) -> Judged:
    """Waits for steady state and for a window of it where the contract limits latency at rest, and writes the verdict down."""
    limit_ns, latencies, lateness_ns = _limit_ns(bench), [], 0
    checks: tuple[TrustCheck, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    if limit_ns is not None:
        try:
            bench.settle()
            start = time.monotonic_ns()
            pass_time(start + WINDOW_NS + SENT_NS)
            with suppress(DeadlineMissed):  # what has not ended by then has failed, or nobody was there to see it
                wait_until(lambda: _under_way(bench, start), deadline_s=KEPT_OPEN_S, what="answers")
            latencies = [took for trace in _asked(bench, start) for took in latencies_at_rest(trace)]
            readings = _readings(bench, start, start + WINDOW_NS)
            checks, doubts = doubts_of(readings)
            lateness_ns = ordinary_lateness_ns(readings.requesters)
        except (DeadlineMissed, ProbeError) as error:
            bench.say(f"{key}: {error}")
    contract, found = bench.booted.contract, bench.booted.answering
    too_large = {(*place, FULL_BYTES): why for place, why in found.too_large_for_all(contract).items()}
    judged = judge_steady(found.gone(contract), too_large, latencies, limit_ns, doubts, lateness_ns)
    write_trust(bench.writer, key, checks, time.monotonic_ns())
    verdict = schema.Verdict(
        scenario=key,
        title="The stack at rest",
        fault=KEY,
        target="",
        element=ELEMENT,
        verdict=judged.verdict,
        reason=judged.reason,
        headline="Nothing was broken, and everything was asked.",
        interval_ms=bench.instruments.interval_ns / 1e6,
        flows=0,
        touched=0,
        connections=0,
        broken=0,
        vantages=(),
        judged=tuple(judgement(row) for row in judged.rows),
        reproduce="./nospof run",
    )
    bench.writer.write(verdict, t_ns=time.monotonic_ns(), scenario=key)
    bench.say(f"{key}: {judged.verdict.upper()}: {judged.reason}")
    return judged


def _readings(bench: Bench, t0_ns: int, t1_ns: int) -> TrustInput:
    """How the instruments and the lab's processes did in [t0, t1)."""
    instruments = bench.instruments
    asked = {vantage: r.window(t0_ns, t1_ns) for vantage, r in instruments.requesters.items()}
    return TrustInput(
        probers=tuple(read_prober(p, p.window(t0_ns, t1_ns)) for p in instruments.probers.values()),
        connections=(),
        control_lost=0,
        control_broken=0,
        wakeups=read_wakeups(instruments.wakeups, t0_ns, t0_ns, t1_ns) if instruments.wakeups else None,
        requesters=tuple(read_requester(r, asked[v], asked[v].stall_ns) for v, r in instruments.requesters.items()),
    )


def _asked(bench: Bench, start_ns: int) -> list[RequestTrace]:
    windows = [r.window(start_ns, start_ns + WINDOW_NS) for r in bench.instruments.requesters.values()]
    return [trace for window in windows for trace in window.traces]


def _under_way(bench: Bench, start_ns: int) -> str:
    waiting = sum(trace.count(Outcome.UNDER_WAY) for trace in _asked(bench, start_ns))
    return f"{waiting} requests have not ended" if waiting else ""


def _limit_ns(bench: Bench) -> int | None:
    budget = bench.booted.contract.budgets.get(KEY)
    return budget.latency_steady_ns if budget else None
