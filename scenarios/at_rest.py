"""The stack at rest as a trial of its own, once a run: nothing is broken, and what does not answer breaks a promise all the same."""

from __future__ import annotations

import time
from contextlib import suppress

from probes.child import ProbeError
from probes.requests import Outcome, RequestTrace
from reports.evidence import schema
from scenarios.bench import Bench
from scenarios.concluded import judgement
from scenarios.trial import latencies_at_rest
from scenarios.verdict import Judged
from scenarios.verdict.steady import ELEMENT, judge_steady
from scenarios.waiting import DeadlineMissed, pass_time, wait_until

KEY = "steady"
WINDOW_NS = 5_000_000_000
SENT_NS = 200_000_000
"""So long after it was due every request has been sent."""
KEPT_OPEN_S = 2.3
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
            pass_time(start + WINDOW_NS + SENT_NS)
            with suppress(DeadlineMissed):  # what has not ended by then has failed, or nobody was there to see it
                wait_until(lambda: _under_way(bench, start), deadline_s=KEPT_OPEN_S, what="answers")
            latencies = [took for trace in _asked(bench, start) for took in latencies_at_rest(trace)]
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


def _asked(bench: Bench, start_ns: int) -> list[RequestTrace]:
    windows = [r.window(start_ns, start_ns + WINDOW_NS) for r in bench.instruments.requesters.values()]
    return [trace for window in windows for trace in window.traces]


def _under_way(bench: Bench, start_ns: int) -> str:
    waiting = sum(trace.count(Outcome.UNDER_WAY) for trace in _asked(bench, start_ns))
    return f"{waiting} requests have not ended" if waiting else ""


def _limit_ns(bench: Bench) -> int | None:
    budget = bench.booted.contract.budgets.get(KEY)
    return budget.latency_steady_ns if budget else None
