"""Where the microseconds go on a packet's way: a bar per vantage and service, a part for every hop, and a table of them.

Pure geometry from the evidence; it must not know pages, taps or how anything was stamped.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports.charts.ccdf import nice
from reports.evidence.schema import Hops, HopsCost, Verdict

LEFT, RIGHT, ROW = 210.0, 980.0, 30.0


@dataclass(frozen=True)
class Part:
    label: str
    kind: str
    x: float
    width: float
    share: float
    n: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Way:
    """One vantage to one service: its parts side by side as long as their medians, in the order of the way."""

    name: str
    y: float
    total_us: float
    packets: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class HopsChart:
    """`xs` are the axis's marks in µs."""

    ways: tuple[Way, ...]
    height: float
    xs: tuple[tuple[float, str], ...]
    cost: HopsCost | None


def draw_hops(verdict: Verdict | None) -> HopsChart | None:
    """None where it was not asked for."""
    some = [h for h in verdict.hops if h.parts] if verdict else []
    if verdict is None or not some:
        return None
    longest = max(sum(p.p50_us for p in h.parts) for h in some)
    span = nice(longest)
    ways = tuple(_way(h, n, span) for n, h in enumerate(some))
    xs = tuple((round(LEFT + n / 5 * (RIGHT - LEFT), 1), f"{span * n / 5:g}") for n in range(6))
    return HopsChart(ways, 20 + ROW * len(ways), xs, verdict.hops_cost)


def _way(hops: Hops, number: int, span: float) -> Way:
    x = LEFT
    parts = []
    total = sum(p.p50_us for p in hops.parts)
    for p in hops.parts:
        width = p.p50_us / span * (RIGHT - LEFT)
        share = p.p50_us / total if total else 0.0
        parts.append(Part(p.label, p.kind, round(x, 1), round(width, 1), share, p.n, p.p50_us, p.p99_us))
        x += width
    return Way(
        name=f"{hops.vantage} · {hops.service} {hops.transport}",
        y=18 + ROW * number,
        total_us=total,
        packets=max(p.n for p in hops.parts),
        parts=tuple(parts),
    )
