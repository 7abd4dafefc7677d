"""Answered probes per second, one small picture per vantage, where what was sent and not answered is ink.

Pure geometry from flow rows; it must not know verdicts or HTML.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.charts.flows import FlowRow
from reports.charts.scale import Tick, View, ticks
from reports.charts.strips import count_before, first_cell_ns

LEFT, RIGHT, TOP, BOTTOM = 46.0, 312.0, 10.0, 62.0
MOST_BINS = 130


@dataclass(frozen=True)
class Rate:
    """`answered` is the line; `missing` the area between it and what was sent: a black hole is ink, never a gap."""

    vantage: str
    answered: str
    missing: str
    top_text: str
    lowest: str
    ticks: tuple[Tick, ...]
    bin_ms: float


def draw_rates(rows: Sequence[FlowRow], near: View) -> list[Rate]:
    """Of the probes that have a path (UDP, ICMP); a vantage without any is left out."""
    routed = sorted((row for row in rows if row.kind.routed), key=lambda row: row.vantage)
    order = list(dict.fromkeys(row.vantage for row in rows))
    made = {vantage: _rate(vantage, list(group), near) for vantage, group in itertools.groupby(routed, _vantage)}
    return [made[vantage] for vantage in order if vantage in made]


def _vantage(row: FlowRow) -> str:
    return row.vantage


def _rate(vantage: str, rows: Sequence[FlowRow], near: View) -> Rate:
    view = View(near.name, near.label, near.start_ns, near.end_ns, near.zero_ns, LEFT, RIGHT)
    step = max(row.interval_ns for row in rows)
    size = step * max(1, math.ceil((view.end_ns - view.start_ns) / step / MOST_BINS))
    # Whole bins only, one of them beginning with the fault.
    first = first_cell_ns(view, size)
    first += size if first < view.start_ns else 0
    borders = first + size * np.arange(max(1, (view.end_ns - first) // size) + 1)
    sent = gone = np.zeros(len(borders) - 1)
    for row in rows:
        at = np.clip(-(-(borders - row.flow.first_due_ns) // row.interval_ns), 0, row.flow.count)
        sent = sent + np.diff(at)
        gone = gone + np.diff(count_before(row, at))
    full = float(sent.max(initial=0)) or 1.0
    per_s = 1e9 / size

    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        corners = []
        for n, value in enumerate(values):
            y = BOTTOM - min(1.0, value / full) * (BOTTOM - TOP)
            corners += [(view.x(borders[n]), y), (view.x(borders[n + 1]), y)]
        return corners

    answered, all_ = points(list(sent - gone)), points(list(sent))
    return Rate(
        vantage=vantage,
        answered="M" + _path(answered),
        missing="M" + _path(all_) + "L" + _path(list(reversed(answered))) + "Z" if gone.any() else "",
        top_text=f"{full * per_s:,.0f}",
        lowest=f"{float((sent - gone).min()) * per_s:,.0f}",
        ticks=tuple(ticks(view, 4)),
        bin_ms=size / 1e6,
    )


def _path(corners: Sequence[tuple[float, float]]) -> str:
    """Corners on one horizontal line keep only its two ends."""
    kept: list[tuple[float, float]] = []
    for corner in corners:
        if len(kept) >= 2 and kept[-1][1] == kept[-2][1] == corner[1]:
            kept[-1] = corner
        elif not kept or kept[-1] != corner:
            kept.append(corner)
    return "L".join(f"{x:g} {y:.1f}" for x, y in kept)
