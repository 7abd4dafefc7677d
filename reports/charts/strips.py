"""Loss strips: one bar per vantage and kind of probe, whose cells are as deep as the share that was lost in them.

Pure geometry from flow rows; it must not know the other lanes, the page or any verdict.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.charts.flows import FlowRow, is_request
from reports.charts.scale import View
from reports.charts.stretches import IMPAIRED
from reports.evidence.schema import NOT_SENT

LEVELS = 8
"""Depths of ink; the faintest is still seen, so that a single lost probe is never drawn as nothing."""
MOST_CELLS = 420
"""Of one strip, if nothing forces it to be coarser."""
ROW = 12.0
"""Height of a strip; that of a vantage where nothing happened is half as high."""


@dataclass(frozen=True)
class Strip:
    """`ink` is (depth from 1 to LEVELS, path of strokes); `unsent` the cells in which the harness left out probes. `noun`: what each
    of its `size` rows is."""

    vantage: str
    label: str
    y: float
    height: float
    size: int
    hit: int
    touched: int
    ink: tuple[tuple[int, str], ...]
    unsent: str
    noun: str = "flows"


@dataclass(frozen=True)
class Strips:
    """`cell_ns` is the time that one cell of probes stands for; what is tried less often has larger ones."""

    strips: tuple[Strip, ...]
    bottom: float
    cell_ns: int


def draw_strips(rows: Sequence[FlowRow], view: View, top: float, most_cells: int = MOST_CELLS) -> Strips:
    probed = [row for row in rows if not is_request(row.kind.transport)]
    shortest = _cell_ns(probed or rows, view, most_cells)
    loud = {row.vantage for row in rows if row.found or row.touched}
    strips: list[Strip] = []
    y = top
    # A vantage where nothing happened is one thin strip, however many kinds of probes it sent.
    for (vantage, kind), group in itertools.groupby(
        rows, key=lambda row: (row.vantage, row.kind.strip if row.vantage in loud else "")
    ):
        members = list(group)
        cell = max(shortest, _cell_ns(members, view, most_cells)) if kind else shortest
        probes = [row for row in members if not is_request(row.kind.transport)]
        if strips and strips[-1].vantage != vantage:
            y += 5
        levels = depths(members, view, cell)
        held = [int(level > 0) for level in depths(members, view, cell, bytes((NOT_SENT,)))]
        height = ROW if kind else ROW / 2
        strips.append(
            Strip(
                vantage=vantage,
                label=f"{vantage} · {kind or f'{len(probes):,} flows'}",
                y=round(y, 1),
                height=height,
                size=len(members),
                hit=sum(1 for row in members if row.lost),
                touched=sum(1 for row in members if row.touched),
                ink=_ink(levels, view, cell, round(y + height / 2, 1)),
                unsent="".join(path for _, path in _ink(held, view, cell, round(y + height - 1.5, 1))),
                noun="flows" if probes else "series",
            )
        )
        y += max(height, 10.0) + 2
    return Strips(tuple(strips), round(y, 1), shortest)


def _cell_ns(rows: Sequence[FlowRow], view: View, most_cells: int) -> int:
    step = max((row.interval_ns for row in rows), default=1)
    return step * max(1, math.ceil((view.end_ns - view.start_ns) / step / most_cells))


def depths(rows: Sequence[FlowRow], view: View, cell_ns: int, states: bytes = IMPAIRED) -> list[int]:
    """For each cell of the view the share of probes due in it that have one of `states`, from 0 (none) to LEVELS (all)."""
    first = first_cell_ns(view, cell_ns)
    borders = first + cell_ns * np.arange(math.ceil((view.end_ns - first) / cell_ns) + 1)
    lost = due = np.zeros(len(borders) - 1)
    for row in rows:
        # Index of the first probe due at or after each border, and how many were impaired before it.
        at = np.clip(-(-(borders - row.flow.first_due_ns) // row.interval_ns), 0, row.flow.count)
        due = due + np.diff(at)
        lost = lost + np.diff(count_before(row, at, states))
    share = np.divide(lost, due, out=np.zeros_like(lost), where=due > 0)
    return [int(level) for level in np.ceil(np.round(LEVELS * share, 9))]


def first_cell_ns(view: View, cell_ns: int) -> int:
    """Where the first cell begins, so that one of them begins with the fault: no loss may seem to come before it."""
    return view.zero_ns - math.ceil((view.zero_ns - view.start_ns) / cell_ns) * cell_ns


def count_before(row: FlowRow, at: npt.NDArray[np.int64], states: bytes = IMPAIRED) -> npt.NDArray[np.float64]:
    """How many of a flow's first n probes have one of `states`, for every n in `at`."""
    bad = [one for one in row.found if one.state in states]
    if not bad:
        return np.zeros(len(at))
    counts = list(itertools.accumulate((one.length for one in bad), initial=0))
    corners = [n for one in bad for n in (one.start, one.end)]
    return np.interp(at, corners, [n for pair in itertools.pairwise(counts) for n in pair])


def _ink(levels: Sequence[int], view: View, cell_ns: int, middle: float) -> tuple[tuple[int, str], ...]:
    """One path of strokes per depth, in whole tenths so that relative moves add up."""
    paths: dict[int, list[str]] = {}
    pens: dict[int, int] = {}
    first = first_cell_ns(view, cell_ns)
    at = 0
    for level, run in itertools.groupby(levels):
        size = len(list(run))
        if level:
            left = round(10 * view.x(first + at * cell_ns))
            width = max(10, round(10 * view.x(first + (at + size) * cell_ns)) - left)
            pen = pens.get(level)
            move = f"M{left / 10:g} {middle:g}" if pen is None else f"m{(left - pen) / 10:g} 0"
            paths.setdefault(level, []).append(f"{move}h{width / 10:g}")
            pens[level] = left + width
        at += size
    return tuple((level, "".join(parts)) for level, parts in sorted(paths.items()))
