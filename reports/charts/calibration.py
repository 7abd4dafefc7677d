"""Error against truth of the black holes that the instrument was calibrated with, one picture per probe interval.

Pure geometry; it must not know how they were made or HTML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.charts.ccdf import Axis
from reports.evidence.calibration import Calibrated
from reports.words import plain

LEFT, RIGHT, TOP, BOTTOM = 54.0, 470.0, 14.0, 112.0
BEYOND = 1.25
"""Intervals up and down: an error within its limit never touches the edge, and one beyond it is drawn at the edge."""


@dataclass(frozen=True)
class CalibrationChart:
    """`spans`: per black hole from the flow that said least to the one that said most; `together`: all flows together; `wild`: how
    many holes had a flow beyond the edge."""

    interval_ms: float
    spans: str
    together: str
    xs: tuple[Axis, ...]
    ys: tuple[Axis, ...]
    wild: int


def draw_calibration(one: Calibrated) -> CalibrationChart | None:
    """None where no hole was kept."""
    truths = [hole.truth_ms for hole in one.holes if hole.truth_ms > 0]
    if not truths or one.interval_ms <= 0:
        return None
    low, high = math.log10(min(truths)), math.log10(max(truths))
    edge = BEYOND * one.interval_ms

    def x(truth_ms: float) -> float:
        share = (math.log10(truth_ms) - low) / (high - low) if high > low else 0.5
        return round(LEFT + share * (RIGHT - LEFT), 1)

    def y(error_ms: float) -> float:
        held = min(edge, max(-edge, error_ms))
        return round((TOP + BOTTOM) / 2 - held / edge * (BOTTOM - TOP) / 2, 1)

    holes = [hole for hole in one.holes if hole.truth_ms > 0]
    ticks = [n * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for n in (1, 2, 5)]
    return CalibrationChart(
        interval_ms=one.interval_ms,
        spans="".join(f"M{x(h.truth_ms):g} {y(h.least_ms):g}V{y(h.most_ms):g}" for h in holes),
        together="".join(f"M{x(h.truth_ms):g} {y(h.together_ms):g}h0" for h in holes),
        xs=tuple(Axis(x(ms), plain(ms)) for ms in ticks if low <= math.log10(ms) <= high),
        ys=tuple(
            Axis(y(n * one.interval_ms), ("+" if n > 0 else "−" if n < 0 else "") + plain(one.interval_ms * abs(n)))
            for n in (-1, 0, 1)
        ),
        wild=sum(1 for h in holes if h.least_ms < -edge or h.most_ms > edge),
    )
