"""Where the milliseconds of a failover went: its stages as parts of one bar, and a small bar for the run's table.

Pure geometry from the stages of a verdict; it must not know events, probes or HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.evidence.schema import Stage, StageName, Verdict
from reports.words import to_accuracy

TITLES: dict[StageName, str] = {
    "detection": "detection",
    "hold-timer": "hold timer",
    "restart-timer": "restart timer",
    "advert-interval": "VRRP's advert interval",
    "health-check": "health check",
    "unexplained": "unexplained",
    "withdrawal": "withdrawal",
    "fib": "FIB",
    "first-packet": "first packet on the new path",
}
LEFT, RIGHT = 0.0, 988.0
SMALL = 132.0


@dataclass(frozen=True)
class Part:
    """`ms` carries no digit that `acc_ms` does not; `text` stands inside the bar where it fits."""

    name: StageName
    title: str
    x: float
    width: float
    ms: str
    end_ms: str
    acc_ms: str
    node: str
    detail: str
    text: str
    overlaps: bool


@dataclass(frozen=True)
class Stages:
    """`black_hole_x` is where the longest black hole ended, `budget_x` where its budget does; None where there is none
    on this axis. `end_ms` is the whole, from the fault to the end of the last stage."""

    parts: tuple[Part, ...]
    end_ms: str
    width: float
    black_hole_x: float | None
    budget_x: float | None


def longest_ms(verdict: Verdict) -> float:
    """From the fault to the end of the last stage, in ms; 0 without stages."""
    if not verdict.stages:
        return 0.0
    return max(0.0, (max(s.end_ns for s in verdict.stages) - verdict.stages[0].start_ns) / 1e6)


def draw_stages(verdict: Verdict, budget_ms: float | None) -> Stages | None:
    """The bar of one scenario, its axis as long as the longest of stages, black hole and budget; None without stages."""
    if not verdict.stages:
        return None
    hole = verdict.black_hole_ms.max or 0.0
    span = max(longest_ms(verdict), hole, budget_ms or 0.0, 1.0) * 1.04

    def x(ms: float) -> float:
        return round(LEFT + ms / span * (RIGHT - LEFT), 1)

    return _stages(
        verdict.stages, (RIGHT - LEFT) / span, x(hole) if hole else None, x(budget_ms) if budget_ms else None
    )


def draw_small(verdict: Verdict, span_ms: float) -> Stages | None:
    """The same bar for the run's table, on an axis that all its scenarios share."""
    return _stages(verdict.stages, SMALL / max(span_ms, 1.0), None, None) if verdict.stages else None


def _stages(stages: Sequence[Stage], per_ms: float, hole_x: float | None, budget_x: float | None) -> Stages:
    event = stages[0].start_ns
    parts = []
    for one in stages:
        begin, end = (one.start_ns - event) / 1e6, (one.end_ns - event) / 1e6
        acc = one.acc_ns / 1e6
        width = max(0.0, (end - begin) * per_ms)
        said = to_accuracy(end - begin, acc)
        text = f"{TITLES[one.name]} {said} ms"
        parts.append(
            Part(
                name=one.name,
                title=TITLES[one.name],
                x=round(LEFT + max(0.0, begin) * per_ms, 1),
                width=round(max(width, 1.2), 1),
                ms=said,
                end_ms=to_accuracy(end, acc),
                acc_ms=to_accuracy(acc, acc),
                node=one.node or "",
                detail=one.detail,
                text=text if width > 7.2 * len(text) else f"{said}" if width > 34 else "",
                # Two instants nearer to each other than their accuracy: their order was not seen.
                overlaps=0 <= end - begin < acc,
            )
        )
    last = max(stages, key=lambda one: one.end_ns)
    end_ms = to_accuracy((last.end_ns - event) / 1e6, last.acc_ns / 1e6)
    return Stages(tuple(parts), end_ms, round((last.end_ns - event) / 1e6 * per_ms, 1), hole_x, budget_x)
