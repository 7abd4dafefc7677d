"""How long, for whom: the share of touched flows whose outage was longer than x, beside the budget.

Pure geometry from flow rows; it must not know verdicts or HTML.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.charts.flows import FlowRow
from reports.words import plain

_Scale = Callable[[float], float]
LEFT, RIGHT, TOP, BOTTOM = 54.0, 470.0, 20.0, 190.0
MOST_CURVES = 6


@dataclass(frozen=True)
class Curve:
    """`band` encloses what one probe interval of accuracy leaves open. `style` numbers its colour and dashes."""

    label: str
    flows: int
    line: str
    band: str
    style: int


@dataclass(frozen=True)
class Axis:
    at: float
    text: str


@dataclass(frozen=True)
class Ccdf:
    curves: tuple[Curve, ...]
    xs: tuple[Axis, ...]
    ys: tuple[Axis, ...]
    budget_x: float | None
    hidden: int


def draw_ccdf(rows: Sequence[FlowRow], budget_ms: float | None) -> Ccdf | None:
    """A curve per vantage and kind of routed flows that were touched and lost something; None without any."""
    touched = [row for row in rows if row.touched and row.kind.routed]
    if not any(row.outage_ns for row in touched):
        return None
    groups = {
        kind: sorted(row.outage_ns / 1e6 for row in group)
        for kind, group in itertools.groupby(touched, key=lambda row: row.kind)
    }
    step = max(row.interval_ns for row in touched) / 1e6
    longest = max(max(times) for times in groups.values())
    width = nice(max(longest + step, (budget_ms or 0.0)) * 1.08)
    floor = 10 ** -math.ceil(math.log10(max(10, *(len(times) for times in groups.values()))))

    def x(ms: float) -> float:
        return round(LEFT + min(1.0, max(0.0, ms / width)) * (RIGHT - LEFT), 1)

    def y(share: float) -> float:
        return round(TOP + math.log10(max(share, floor)) / math.log10(floor) * (BOTTOM - TOP), 1)

    curves = [
        Curve(f"{kind.vantage} · {kind.label}", len(times), _steps(times, 0, x, y), _band(times, step, x, y), n)
        for n, (kind, times) in enumerate(groups.items())
    ]
    ticks = [width * n / 5 for n in range(6)]
    shares = [10.0**-n for n in range(round(-math.log10(floor)) + 1)]
    return Ccdf(
        curves=tuple(curves[:MOST_CURVES]),
        xs=tuple(Axis(x(ms), plain(ms)) for ms in ticks),
        ys=tuple(Axis(y(share), f"{plain(share * 100)} %") for share in shares),
        budget_x=x(budget_ms) if budget_ms is not None else None,
        hidden=max(0, len(curves) - MOST_CURVES),
    )


def survivors(times: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of the step curve: at each distinct outage the share of flows with a longer one."""
    size = len(times)
    found, gone = [], 0
    for value, group in itertools.groupby(times):
        gone += len(list(group))
        found.append((value, (size - gone) / size))
    return found


def nice(value: float) -> float:
    """The next round number whose fifth is round too."""
    scale = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(n * scale for n in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 10) if n * scale >= value)


def _steps(times: Sequence[float], shift: float, x: _Scale, y: _Scale) -> str:
    parts = [f"M{x(0):g} {y(1):g}"]
    for value, share in survivors(times):
        parts.append(f"H{x(value + shift):g}V{y(share):g}")
    return "".join(parts)


def _band(times: Sequence[float], step: float, x: _Scale, y: _Scale) -> str:
    there = [(0.0, 1.0)]
    back = [(0.0, 1.0)]
    for (value, share), before in zip(survivors(times), [1.0, *(s for _, s in survivors(times))], strict=False):
        there += [(value + step, before), (value + step, share)]
        back += [(max(0.0, value - step), before), (max(0.0, value - step), share)]
    return "M" + "L".join(f"{x(a):g} {y(b):g}" for a, b in [*there, *reversed(back)]) + "Z"
