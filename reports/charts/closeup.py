"""Probe by probe around the fault: how long each answer took, whether who answered is who did before, and which had none.

Pure geometry from the stamps that were kept near an episode; it must not know verdicts or HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reports.charts.ccdf import Axis
from reports.charts.flows import FlowRow, Kind
from reports.charts.scale import Tick, View, ticks
from reports.evidence.near import NearRun, unpack_near
from reports.evidence.schema import ANSWERED, NOT_A_BACKEND, NOT_SENT, Flows
from reports.words import plain

LEFT, RIGHT, TOP, BOTTOM, MISSED = 46.0, 312.0, 8.0, 98.0, 106.0
FLOWS = 8
"""Of one vantage, those with the longest outages: more would only be drawn over each other."""
LOWEST_NS, HIGHEST_NS = 10_000.0, 2e9
"""The axis of times is part of this, which ends at the Forwarding Delay Threshold."""


@dataclass(frozen=True)
class Closeup:
    """Dots as paths: probes answered by `same` as before the fault (or by one that gives no name), by `other`, and `missed`: lost,
    late, or answered by something else."""

    vantage: str
    flows: int
    of: int
    same: str
    other: str
    missed: str
    probes: int
    xs: tuple[Tick, ...]
    ys: tuple[Axis, ...]


@dataclass(frozen=True)
class _Dot:
    x: float
    took_ns: int | None
    moved: bool


def draw_closeups(blocks: Sequence[Flows], rows: Sequence[FlowRow], view: View) -> list[Closeup]:
    """One picture per vantage with an outage whose probes were kept, all on the same axes; none without.

    Raises ValueError where stamps do not fit their block.
    """
    axis = replace(view, left=LEFT, right=RIGHT)
    cut = [row for row in rows if row.kind.routed and row.touched and row.outage_ns]
    found: dict[str, tuple[list[FlowRow], list[_Dot]]] = {}
    for vantage in dict.fromkeys(row.vantage for row in cut):
        chosen = sorted((row for row in cut if row.vantage == vantage), key=lambda row: -row.outage_ns)[:FLOWS]
        dots = list(_dots(blocks, chosen, axis))
        if dots:
            found[vantage] = chosen, dots
    taken = [dot.took_ns for _, dots in found.values() for dot in dots if dot.took_ns is not None]
    low, high = _span(taken)
    return [
        Closeup(
            vantage=vantage,
            flows=len(chosen),
            of=sum(1 for row in cut if row.vantage == vantage),
            same=_path(dots, low, high, moved=False),
            other=_path(dots, low, high, moved=True),
            missed="".join(f"M{x:g} {MISSED:g}v6" for x in sorted({dot.x for dot in dots if dot.took_ns is None})),
            probes=len(dots),
            xs=tuple(ticks(axis, 4)),
            ys=tuple(
                Axis(_y(10.0**n, low, high), plain(10.0**n / 1e6))
                for n in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
            ),
        )
        for vantage, (chosen, dots) in found.items()
    ]


def _dots(blocks: Sequence[Flows], chosen: Sequence[FlowRow], axis: View) -> Iterator[_Dot]:
    wanted = {(row.kind, row.flow.id): row for row in chosen}
    for block in blocks:
        kind = Kind(block.vantage, block.service, block.transport, block.family)
        if not any(kind == other for other, _ in wanted):
            continue
        for near in unpack_near(block):
            row = wanted.get((kind, block.flows[near.run.flow].id))
            if row is not None:
                yield from _of(near, row, block.backends, axis)


def _of(near: NearRun, row: FlowRow, backends: Sequence[str], axis: View) -> Iterator[_Dot]:
    run = near.run
    for due, tx, rx, state, by in zip(
        run.due.tolist(), run.tx.tolist(), run.rx.tolist(), near.state, near.backend, strict=True
    ):
        if state == NOT_SENT or not axis.shows(due):
            continue
        answered = state == ANSWERED and rx > 0
        name = backends[by] if by != NOT_A_BACKEND and by < len(backends) else None
        yield _Dot(
            x=axis.x(due),
            took_ns=max(0, rx - (tx or due)) if answered else None,
            moved=name is not None and row.before is not None and name != row.before,
        )


def _span(taken: Sequence[int]) -> tuple[float, float]:
    """Whole decades around what took how long."""
    low = min(HIGHEST_NS / 10, max(LOWEST_NS, float(min(taken, default=100_000))))
    high = min(HIGHEST_NS, max(LOWEST_NS * 10, float(max(taken, default=1_000_000))))
    first = 10.0 ** math.floor(math.log10(low))
    return first, min(HIGHEST_NS, max(first * 10, 10.0 ** math.ceil(math.log10(high))))


def _y(took_ns: float, low: float, high: float) -> float:
    share = math.log(min(high, max(low, took_ns)) / low) / math.log(high / low)
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def _path(dots: Sequence[_Dot], low: float, high: float, *, moved: bool) -> str:
    """Each place once."""
    places = {(d.x, _y(d.took_ns, low, high)) for d in dots if d.took_ns is not None and d.moved == moved}
    return "".join(f"M{x:g} {y:g}h0" for x, y in sorted(places))
