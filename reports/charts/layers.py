"""What the packets lost beside what the application stalled: the same outage as each layer saw it, on one axis.

Pure geometry from the figures of a verdict; it must not know probes, pages or how the figures were made.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports.charts.ccdf import nice
from reports.evidence.schema import VantageFigures, Verdict
from reports.words import NOTHING, milliseconds, plain, response

LEFT, RIGHT = 250.0, 900.0
ROW = 17.0


@dataclass(frozen=True)
class Bar:
    layer: str
    kind: str
    y: float
    width: float
    text: str


@dataclass(frozen=True)
class Group:
    vantage: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Layers:
    groups: tuple[Group, ...]
    height: float
    xs: tuple[tuple[float, str], ...]


def draw_layers(verdict: Verdict, tcp_interval_ms: float) -> Layers | None:
    """A group of three bars per touched vantage; None where none was touched, no second layer was measured or nothing
    lasted."""
    touched = [f for f in verdict.vantages if f.touched and (f.new_fail_ms is not None or f.stall_ms is not None)]
    longest = max((ms for f in touched for ms in (f.max_ms, f.new_fail_ms, f.stall_ms) if ms is not None), default=0.0)
    if not touched or longest <= verdict.interval_ms:
        # Nothing lasted longer than the probes can tell: bars of it would only enlarge noise.
        return None
    span = nice(longest * 1.02)
    groups = []
    y = 18.0
    for figures in touched:
        bars = tuple(
            Bar(layer, kind, round(y + n * ROW, 1), round((ms or 0.0) / span * (RIGHT - LEFT), 1), text)
            for n, (layer, kind, ms, text) in enumerate(_layers(figures, verdict.interval_ms, tcp_interval_ms))
        )
        groups.append(Group(figures.vantage, y, bars))
        y += len(bars) * ROW + 10
    xs = tuple((round(LEFT + n / 5 * (RIGHT - LEFT), 1), plain(span * n / 5)) for n in range(6))
    return Layers(tuple(groups), y, xs)


def _layers(
    figures: VantageFigures, interval_ms: float, tcp_interval_ms: float
) -> list[tuple[str, str, float | None, str]]:
    def probed(ms: float | None, step: float) -> str:
        return NOTHING if ms is None else f"{milliseconds(ms, step)} ± {plain(step)} ms"

    hole = ("≥ " if figures.censored else "") + probed(figures.max_ms, interval_ms)
    return [
        ("packets: black hole", "packets", figures.max_ms, hole),
        ("new connections failed", "fresh", figures.new_fail_ms, probed(figures.new_fail_ms, tcp_interval_ms)),
        ("application: longest stall", "stalled", figures.stall_ms, response(figures.stall_ms, " ms")),
    ]
