"""A time axis: which part of a scenario is shown, where an instant stands on it, and which instants are named.

Pure arithmetic; it must not know what is drawn along the axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.flows import FlowRow
from reports.evidence.reader import ScenarioEvidence
from reports.evidence.schema import NOT_SENT

LEFT = 150.0
RIGHT = 988.0
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)


@dataclass(frozen=True)
class View:
    """The time that is shown, in ns of CLOCK_MONOTONIC, on an axis from `left` to `right`. `zero_ns` is the fault."""

    name: str
    label: str
    start_ns: int
    end_ns: int
    zero_ns: int
    left: float = LEFT
    right: float = RIGHT

    def x(self, t_ns: float) -> float:
        """Clipped to the axis."""
        share = (t_ns - self.start_ns) / max(1, self.end_ns - self.start_ns)
        return round(self.left + min(1.0, max(0.0, share)) * (self.right - self.left), 1)

    def shows(self, t_ns: float) -> bool:
        return self.start_ns <= t_ns <= self.end_ns

    @property
    def unit(self) -> str:
        """ms where the whole view is short, else s."""
        return "ms" if self.end_ns - self.start_ns <= 5e9 else "s"


@dataclass(frozen=True)
class Tick:
    x: float
    text: str
    zero: bool


def views(scenario: ScenarioEvidence, rows: Sequence[FlowRow]) -> list[View]:
    """The fault from close by, as wide as the longest outage of a touched flow, the stages and what broke ask; the whole window."""
    starts = [block.t0_ns for block in scenario.flows] + [phase.start_ns for phase in scenario.phases]
    ends = [block.t1_ns for block in scenario.flows] + [phase.end_ns for phase in scenario.phases]
    starts, ends = starts or [r.t_ns for r in scenario.faults], ends or [r.t_ns for r in scenario.faults]
    if not starts or max(ends) <= min(starts):
        return []
    event = scenario.event_ns
    whole = View("whole", "whole window", min(starts), max(ends), event if event is not None else min(starts))
    if event is None:
        return [whole]
    last = [event, *(row.longest_end_ns for row in rows if row.touched and row.longest_end_ns is not None)]
    last += [stage.end_ns for stage in scenario.verdict.stages] if scenario.verdict else []
    # What follows much later has its place in the whole window; here it would only press the fault into a corner.
    last += [r.t_ns for r in scenario.events if r.t_ns - event < 0.5e9]
    last += [c.broken_ns for c in scenario.connections if c.broken_ns is not None and c.broken_ns - event < 2e9]
    last += [
        row.flow.first_due_ns + one.end * row.interval_ns
        for row in rows
        for one in row.found
        if one.state == NOT_SENT and 0 < row.flow.first_due_ns + one.end * row.interval_ns - event < 2e9
    ]
    after = min(10e9, max(0.25e9, (max(last) - event) * 1.3))
    near = View(
        "near",
        "around the fault",
        max(whole.start_ns, event - int(after / 6)),
        min(whole.end_ns, event + int(after)),
        event,
    )
    return [near, whole] if near.end_ns > near.start_ns else [whole]


def ticks(view: View, about: int = 9) -> list[Tick]:
    """About that many round instants, counted from the fault, in the view's unit."""
    span = (view.end_ns - view.start_ns) / 1e9
    step = next((s for s in _STEPS if span / s <= about), span / about)
    scale = 1000 if view.unit == "ms" else 1
    first = math.ceil((view.start_ns - view.zero_ns) / 1e9 / step - 1e-9)
    last = math.floor((view.end_ns - view.zero_ns) / 1e9 / step + 1e-9)
    return [
        Tick(
            view.x(view.zero_ns + n * step * 1e9),
            f"{n * step * scale:+,.6g}".replace("-", "−") if n else f"0 {view.unit}",
            n == 0,
        )
        for n in range(first, last + 1)
    ]
