"""The stack at rest as a trial of its own, once a run: nothing is broken, and what does not answer breaks a promise all the same."""

from __future__ import annotations

import time

from probes.child import ProbeError
from reports.evidence import schema
from scenarios.bench import Bench
from scenarios.concluded import judgement
from scenarios.trial import latencies_at_rest
from scenarios.verdict import Judged
from scenarios.verdict.steady import ELEMENT, judge_steady
from scenarios.waiting import DeadlineMissed, pass_time

KEY = "steady"
WINDOW_NS = 5_000_000_000
KEPT_OPEN_NS = 2_300_000_000
"""So long after it was due the last request has ended, however late."""


def wanted(bench: Bench) -> bool:
    """Whether there is anything to judge: a limit of the contract, or something that answers nobody."""
    contract = bench.booted.contract
    return _limit_ns(bench) is not None or bool(bench.booted.answering.gone(contract))


def judge_at_rest(bench: Bench) -> Judged:
    """Waits for steady state and for a window of it where the contract limits latency at rest, and writes the verdict down."""
    limit_ns, latencies = _limit_ns(bench), []
    if limit_ns is not None:
        try:
            bench.settle()
            start = time.monotonic_ns()
            pass_time(start + WINDOW_NS + KEPT_OPEN_NS)
            windows = [r.window(start, start + WINDOW_NS) for r in bench.instruments.requesters.values()]
            latencies = [took for window in windows for trace in window.traces for took in latencies_at_rest(trace)]
        except (DeadlineMissed, ProbeError) as error:
            bench.say(f"{KEY}: {error}")
    judged = judge_steady(bench.booted.answering.gone(bench.booted.contract), latencies, limit_ns)
    verdict = schema.Verdict(
        scenario=KEY,
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
    bench.writer.write(verdict, t_ns=time.monotonic_ns(), scenario=KEY)
    bench.say(f"{KEY}: {judged.verdict.upper()}: {judged.reason}")
    return judged


def _limit_ns(bench: Bench) -> int | None:
    budget = bench.booted.contract.budgets.get(KEY)
    return budget.latency_steady_ns if budget else None
