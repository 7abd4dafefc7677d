"""How long answers took before, during and after the fault: three small histograms per vantage on one axis of times.

Pure geometry from packed histograms; it must not know probes, verdicts or HTML.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reports.charts.ccdf import Axis
from reports.charts.flows import is_routed
from reports.evidence.histogram import Histogram, bounds_ns, merged, unpack_histogram
from reports.evidence.schema import Flows
from reports.words import plain

LEFT, RIGHT, TOP, ROW = 46.0, 312.0, 8.0, 34.0
BINS = 76
LEVELS, LEAST = 36, 2
"""Heights of a bin are whole steps up to this, and of one with few answers at least so many: a single slow one is seen too."""

PHASES: tuple[tuple[Literal["control", "fault", "recovery"], str], ...] = (
    ("control", "before"),
    ("fault", "during"),
    ("recovery", "after"),
)


@dataclass(frozen=True)
class AnswerRow:
    """One phase: its bars as a path, one unit wide per bin and up to `LEVELS` high, and in words how long half of the answers, 99 %
    of them and the slowest took."""

    label: str
    y: float
    bars: str
    answers: int
    text: str


@dataclass(frozen=True)
class Answers:
    vantage: str
    rows: tuple[AnswerRow, ...]
    xs: tuple[Axis, ...]
    height: float


def draw_answers(blocks: Sequence[Flows]) -> list[Answers]:
    """One picture per vantage of its UDP and ICMP probes, all on the same axis; a vantage without any answer is left out.

    Raises ValueError when a histogram cannot be unpacked.
    """
    found: dict[str, dict[str, list[Histogram]]] = {}
    for block in blocks:
        if is_routed(block.transport):
            for one in block.answers:
                parts = found.setdefault(block.vantage, {})
                parts.setdefault(one.phase, []).append(unpack_histogram(one.histogram))
    whole = {vantage: {phase: merged(parts.get(phase, ())) for phase, _ in PHASES} for vantage, parts in found.items()}
    every = [bucket for parts in whole.values() for one in parts.values() for bucket in one.buckets]
    if not every:
        return []
    low, high = _decades(bounds_ns(min(every))[0], bounds_ns(max(every))[1])
    return [
        Answers(
            vantage=vantage,
            rows=tuple(
                AnswerRow(
                    label,
                    TOP + n * ROW,
                    _bars(parts[phase], low, high),
                    parts[phase].n,
                    told(parts[phase]),
                )
                for n, (phase, label) in enumerate(PHASES)
            ),
            xs=tuple(
                Axis(_x(10.0**n, low, high), plain(10.0**n / 1e6))
                for n in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
            ),
            height=TOP + len(PHASES) * ROW,
        )
        for vantage, parts in whole.items()
    ]


def told(one: Histogram) -> str:
    """`median 0.41 · 99 % 0.62 · slowest 1.3 ms`; nothing where nothing was answered."""
    if not one.n:
        return "no answer"
    parts = [("median", 0.5), ("99 %", 0.99), ("slowest", 1.0)]
    return " · ".join(f"{name} {_ms(one.quantile_ns(share) or 0)}" for name, share in parts) + " ms"


def _ms(value_ns: int) -> str:
    """Two significant digits: a histogram has no more."""
    if not value_ns:
        return "0"
    digits = 1 - math.floor(math.log10(value_ns))
    return f"{round(value_ns, digits) / 1e6:,.{max(0, digits + 6)}f}"


def _decades(low_ns: int, high_ns: int) -> tuple[float, float]:
    """The axis: a little more than what is on it, from 1 µs up, and never less than a whole decade."""
    low = max(1_000.0, low_ns / 1.15)
    high = max(low * 10, high_ns * 1.15)
    return min(low, high / 10), high


def _x(value_ns: float, low: float, high: float) -> float:
    share = math.log(max(value_ns, 1.0) / low) / math.log(high / low)
    return round(LEFT + min(1.0, max(0.0, share)) * (RIGHT - LEFT), 1)


def _bars(one: Histogram, low: float, high: float) -> str:
    """The outline of bins of equal width, each as high as its share of the fullest; an answer is in the bin of its bucket's middle.

    In whole units, which the page scales: a page has a hundred of these.
    """
    bins = [0] * BINS
    for bucket, count in one:
        first, after = bounds_ns(bucket)
        share = (_x((first + after - 1) / 2, low, high) - LEFT) / (RIGHT - LEFT)
        bins[min(BINS - 1, int(share * BINS))] += count
    if not one.n:
        return ""
    fullest = max(bins)
    heights = [max(LEAST, round(count / fullest * LEVELS)) if count else 0 for count in bins]
    return "M0 0" + "".join(f"V{-height}h{len(list(run))}" for height, run in itertools.groupby(heights)) + "V0z"
