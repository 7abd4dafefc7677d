"""The one-clock picture: what was done and what every flow lost, placed on the same time axis.

Pure geometry from evidence; the template draws it. It must not know HTML, files or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.strips import FlowRow, Strips, draw_strips
from reports.evidence.reader import ScenarioEvidence
from reports.words import since

WIDTH = 1000.0
LEFT = 132.0
RIGHT = 988.0
LANE = 20.0
MARKS_PER_LANE = 200
LANES_OF_EVENTS = 6

ACTIONS = {"inject": "▼", "effective": "◆", "heal": "△", "healed": "○"}
OFFSETS = {"inject": -10.0, "effective": 10.0, "heal": -10.0, "healed": 10.0}
"""What was done stands above the fault's bar, what was seen of it below: the two are often within a millisecond."""
SHAPES_OF_SOURCES = ("●", "■", "◇", "▲", "□", "◆")


@dataclass(frozen=True)
class View:
    """The time that is shown, in ns of CLOCK_MONOTONIC."""

    start_ns: int
    end_ns: int

    def x(self, t_ns: float) -> float:
        share = (t_ns - self.start_ns) / max(1, self.end_ns - self.start_ns)
        return round(LEFT + min(1.0, max(0.0, share)) * (RIGHT - LEFT), 1)

    def shows(self, t_ns: float) -> bool:
        return self.start_ns <= t_ns <= self.end_ns


@dataclass(frozen=True)
class Tick:
    x: float
    text: str
    zero: bool


@dataclass(frozen=True)
class Mark:
    x: float
    shape: str
    title: str
    dy: float = 0.0


@dataclass(frozen=True)
class Bar:
    """`text` is what fits inside; `title` is the whole of it."""

    x: float
    width: float
    kind: str
    text: str
    title: str


@dataclass(frozen=True)
class Lane:
    """`y` is the middle of the lane."""

    label: str
    y: float
    kind: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    note: str = ""


@dataclass(frozen=True)
class Clock:
    name: str
    label: str
    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    strips: Strips
    top: float
    foot: float
    text: str


def views(scenario: ScenarioEvidence, worst_end_ns: int | None) -> list[tuple[str, str, View]]:
    """The fault from close by (1 s before to 3 s after, more if an outage lasted longer), and the whole window."""
    starts = [block.t0_ns for block in scenario.flows] + [phase.start_ns for phase in scenario.phases]
    ends = [block.t1_ns for block in scenario.flows] + [phase.end_ns for phase in scenario.phases]
    starts, ends = starts or [r.t_ns for r in scenario.faults], ends or [r.t_ns for r in scenario.faults]
    if not starts or max(ends) <= min(starts):
        return []
    whole = View(min(starts), max(ends))
    event = scenario.event_ns
    if event is None:
        return [("whole", "whole window", whole)]
    after = 3e9
    if worst_end_ns is not None:
        after = min(10e9, max(after, math.ceil((worst_end_ns - event) / 1e9 * 1.1) * 1e9))
    near = View(max(whole.start_ns, event - 10**9), min(whole.end_ns, event + int(after)))
    if near.end_ns <= near.start_ns:
        return [("whole", "whole window", whole)]
    return [("near", "around the fault", near), ("whole", "whole window", whole)]


def draw(scenario: ScenarioEvidence, rows: Sequence[FlowRow]) -> list[Clock]:
    """One picture per view; none when there is no time to show."""
    ends = [row.longest_end_ns for row in rows if row.touched and row.longest_end_ns is not None]
    return [_clock(scenario, rows, *one) for one in views(scenario, max(ends, default=None))]


def _clock(scenario: ScenarioEvidence, rows: Sequence[FlowRow], name: str, label: str, view: View) -> Clock:
    lanes: list[Lane] = []
    y = 34.0
    for made in (_phases(scenario, view), _fault(scenario, view), *_events(scenario, view), _broken(scenario, view)):
        if made is not None:
            room = 11.0 if any(mark.dy for mark in made.marks) else 0.0
            lanes.append(Lane(made.label, y + room, made.kind, made.bars, made.marks, made.note))
            y += LANE + 2 * room
    strips = draw_strips(rows, view.start_ns, view.end_ns, view.x, top=y + 2)
    return Clock(
        name=name,
        label=label,
        height=strips.bottom + 8,
        lanes=tuple(lanes),
        ticks=tuple(_ticks(view, scenario.event_ns)),
        strips=strips,
        top=22.0,
        foot=strips.bottom + 2,
        text=_said(scenario, strips),
    )


def _phases(scenario: ScenarioEvidence, view: View) -> Lane | None:
    bars = []
    for phase in scenario.phases:
        if phase.end_ns < view.start_ns or phase.start_ns > view.end_ns:
            continue
        x, end = view.x(phase.start_ns), view.x(phase.end_ns)
        length = (phase.end_ns - phase.start_ns) / 1e9
        title = (
            f"{phase.name}: {length:.2f} s{'' if phase.ok else ', NOT OK'}{': ' + phase.detail if phase.detail else ''}"
        )
        text = phase.name if end - x > 7.0 * len(phase.name) else ""
        bars.append(Bar(x, round(max(0.5, end - x - 1), 1), "good" if phase.ok else "bad", text, title))
    return Lane("phase", 0, "phase", tuple(bars), ()) if bars else None


def _fault(scenario: ScenarioEvidence, view: View) -> Lane | None:
    if not scenario.faults:
        return None
    at = {record.data.action: record.t_ns for record in scenario.faults}
    first = scenario.faults[0].data
    start = at.get("inject", scenario.faults[0].t_ns)
    # Without a heal the fault never ended: it is drawn to the edge, not left out.
    end = at.get("healed", at.get("heal", view.end_ns))
    bars: tuple[Bar, ...] = ()
    if start < view.end_ns and end > view.start_ns:
        x = view.x(start)
        bars = (Bar(x, round(max(1.0, view.x(end) - x), 1), "active", "", f"{first.fault} {first.target} in force"),)
    marks = tuple(
        Mark(
            view.x(record.t_ns),
            ACTIONS[record.data.action],
            f"{record.data.action} {since(record.t_ns, scenario.event_ns)}"
            f"{'' if record.data.ok else ', NOT OK'}{': ' + record.data.detail if record.data.detail else ''}",
            OFFSETS[record.data.action],
        )
        for record in scenario.faults
        if view.shows(record.t_ns)
    )
    later = [r for r in scenario.faults if r.t_ns > view.end_ns and r.data.action in {"heal", "healed"}]
    note = ", ".join(f"{r.data.action} {since(r.t_ns, scenario.event_ns)}" for r in later)
    return Lane("fault", 0, "fault", bars, marks, f"{note} →" if note else "")


def _events(scenario: ScenarioEvidence, view: View) -> list[Lane]:
    sources: dict[str, list[Mark]] = {}
    for record in scenario.events:
        if view.shows(record.t_ns):
            title = (
                f"{since(record.t_ns, scenario.event_ns)} {record.node or ''} {record.data.what} {record.data.detail}"
            )
            marks = sources.setdefault(record.data.source, [])
            shape = SHAPES_OF_SOURCES[(len(sources) - 1) % len(SHAPES_OF_SOURCES)]
            marks.append(Mark(view.x(record.t_ns), marks[0].shape if marks else shape, " ".join(title.split())))
    lanes = []
    for source, marks in list(sources.items())[:LANES_OF_EVENTS]:
        hidden = len(marks) - MARKS_PER_LANE
        note = f"{hidden:,} more not drawn" if hidden > 0 else ""
        lanes.append(Lane(source, 0, "event", (), tuple(marks[:MARKS_PER_LANE]), note))
    return lanes


def _broken(scenario: ScenarioEvidence, view: View) -> Lane | None:
    broken = [c for c in scenario.connections if c.broken_ns is not None]
    if not broken:
        return None
    marks = tuple(
        Mark(
            view.x(c.broken_ns),
            "✖",
            f"{since(c.broken_ns, scenario.event_ns)} {c.vantage} connection {c.id}: {c.broken_by}",
        )
        for c in broken
        if c.broken_ns is not None and view.shows(c.broken_ns)
    )
    return Lane("broken", 0, "broken", (), marks[:MARKS_PER_LANE]) if marks else None


def _ticks(view: View, event_ns: int | None) -> list[Tick]:
    """About ten round instants; zero is the fault, or the window's start where there was none."""
    zero = event_ns if event_ns is not None else view.start_ns
    span = (view.end_ns - view.start_ns) / 1e9
    step = next((s for s in (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300) if span / s <= 11), span / 10)
    first = math.ceil((view.start_ns - zero) / 1e9 / step)
    last = math.floor((view.end_ns - zero) / 1e9 / step)
    return [
        Tick(view.x(zero + n * step * 1e9), f"{n * step:+.3g}".replace("-", "−") if n else "0 s", n == 0)
        for n in range(first, last + 1)
    ]


def _said(scenario: ScenarioEvidence, strips: Strips) -> str:
    """The picture for those who cannot see it."""
    steps = ", ".join(f"{r.data.action} at {since(r.t_ns, scenario.event_ns)}" for r in scenario.faults)
    groups = "; ".join(f"{g.label}: {g.hit} of {g.size} flows lost probes" for g in strips.groups)
    return f"Time line. Fault: {steps or 'none'}. {groups}."
