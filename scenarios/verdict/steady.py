"""The verdict of the stack at rest, once a run: what answers nobody though its service answers, packets of which size nobody gets an
answer to, and how long requests take. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scenarios.verdict.decide import Judged
from scenarios.verdict.doubts import Doubt
from scenarios.verdict.facts import Loaded, Trial
from scenarios.verdict.load import latency
from scenarios.verdict.ranges import Range
from scenarios.verdict.row import Row
from scenarios.verdict.text import limit_of, told

ELEMENT = "the stack at rest"
BUDGET = "steady"


def judge_steady(
    gone: Mapping[tuple[str, str], str],
    too_large: Mapping[tuple[str, str, int], str],
    latencies_ns: Sequence[int],
    limit_ns: int | None,
    doubts: tuple[Doubt, ...] = (),
    lateness_ns: int = 0,
) -> Judged:
    """`gone`: service and VIP that answer nobody, while others of the service do → why. `too_large`: service, VIP and the bytes
    of a packet, such as nobody gets an answer to there, while small ones are answered → why. `latencies_ns`: of requests at rest, a
    failed one 2 s; `limit_ns`: of their 99th percentile, None: not judged. `doubts`: what made these figures doubtful; `lateness_ns`:
    by how much the instrument was late without being doubted."""
    silent = map(_silent, [*_gone(gone), *_too_large(too_large)])
    rows = (*silent, *_latency(latencies_ns, limit_ns, doubts, lateness_ns))
    failed = [r for r in rows if r.state == "fail"]
    if failed:
        return Judged("fail", " ".join(f"{_said(r)}." for r in failed), rows)
    unknown = [r for r in rows if r.state == "unknown"]
    if unknown:
        said = " ".join(f"{_said(r)}: {r.why}" for r in unknown)
        return Judged("unknown", said, rows, disturbed=all(r.cpu for r in unknown))
    return Judged("pass", "Everything answers at rest.", rows)


def _gone(gone: Mapping[tuple[str, str], str]) -> list[str]:
    return [
        f"{service} answers nobody at {vip} while it does elsewhere ({why})" for (service, vip), why in gone.items()
    ]


def _too_large(too_large: Mapping[tuple[str, str, int], str]) -> list[str]:
    return [
        f"{service} at {vip} answers nobody's {size:,}-byte packets while it answers small ones ({why})"
        for (service, vip, size), why in too_large.items()
    ]


def _silent(said: str) -> Row:
    return Row(
        "steady", "touched", "fault", BUDGET, 0, 1, Range(1, None, surely=True), "ns", 0, "fail",
        by=said, censored=True, given=False,
    )  # fmt: skip


def _latency(
    latencies_ns: Sequence[int], limit_ns: int | None, doubts: tuple[Doubt, ...], lateness_ns: int
) -> list[Row]:
    trial = Trial(
        BUDGET,
        ELEMENT,
        (),
        until_heal=Loaded(tuple(latencies_ns)),
        doubts=doubts,
        lateness_ns={("request", "fault"): lateness_ns},
    )
    return [replace(row, key="latency_steady") for row in latency(trial, BUDGET, limit_ns, "touched")]


def _said(row: Row) -> str:
    if row.key == "steady":
        return row.by
    return f"{row.name} was {told(row)}, limit {limit_of(row)}"
