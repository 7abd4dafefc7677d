"""The one-clock picture: what was done, what was noticed, and what every vantage lost, on the same time axis.

Pure geometry from evidence; the template draws it. It must not know HTML, files or verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reports.charts.flows import FlowRow
from reports.charts.scale import Tick, View, ticks
from reports.charts.strips import MOST_CELLS, Strips, draw_strips
from reports.evidence.reader import ScenarioEvidence
from reports.evidence.schema import BrokenBy, Connection, EventRecord
from reports.held import ANNOUNCED, HOW, USES, is_broken
from reports.words import since

LANE = 21.0
CLOSEST = 12.0
"""Marks nearer to each other than this are one mark that says how many it stands for."""
NAMED = 5

ACTIONS = {"inject": "▼", "effective": "◆", "heal": "△", "healed": "○"}
OFFSETS = {"inject": -10.0, "effective": 10.0, "heal": -10.0, "healed": 10.0}
"""What was done stands above the fault's bar, what was seen of it below: the two are often within a millisecond."""

BROKEN: dict[BrokenBy, str] = {"reset": "✖", "stall": "‖", "other-backend": "⇄", "closed": "⊘"}
CLOSED = "∎"
SENSED = {"healthy", "unhealthy"}


@dataclass(frozen=True)
class Mark:
    """`entry` is the number of the log's line that it stands for."""

    x: float
    shape: str
    title: str
    dy: float = 0.0
    entry: int | None = None
    size: int = 1


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
    view: View
    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    strips: Strips
    top: float
    foot: float
    text: str


def lane_of(event: EventRecord) -> tuple[str, str]:
    """The lane that an event belongs to and its shape there: by what it tells, not by who told it."""
    source = event.data.source
    if source == "bfd" or event.data.what in SENSED:
        return "BFD, health", "◇"
    known = {"bgp": ("BGP", "●"), "fib": ("FIB", "■"), "neighbour": ("link, ARP", "▽"), "link": ("link, ARP", "▽")}
    return known.get(source, ("L4, Envoy", "▲") if source in {"l4", "envoy"} else (source, "□"))


LANES = ("link, ARP", "BFD, health", "BGP", "L4, Envoy", "FIB")
"""From the cause to the effect; lanes of other sources follow."""


def draw(
    scenario: ScenarioEvidence,
    rows: Sequence[FlowRow],
    shown: Iterable[View],
    entry: Callable[[EventRecord], int],
    coarseness: int = 1,
) -> list[Clock]:
    """One picture per view; `entry` gives the number of an event's line in the log. `coarseness` joins
    more marks into one and more probes into a cell."""
    return [_clock(scenario, rows, view, entry, coarseness) for view in shown]


def _clock(
    scenario: ScenarioEvidence,
    rows: Sequence[FlowRow],
    view: View,
    entry: Callable[[EventRecord], int],
    coarseness: int,
) -> Clock:
    closest = CLOSEST * coarseness
    lanes: list[Lane] = []
    y = 34.0
    for made in (
        _phases(scenario, view),
        _fault(scenario, view),
        *_events(scenario, view, entry, closest),
        _broken(scenario, view, closest),
    ):
        if made is not None:
            room = 10.0 if any(mark.dy for mark in made.marks) else 0.0
            lanes.append(Lane(made.label, y + room, made.kind, made.bars, made.marks, made.note))
            y += LANE + 2 * room
    strips = draw_strips(rows, view, top=y + 2, most_cells=max(60, MOST_CELLS // coarseness))
    return Clock(
        view, strips.bottom + 6, tuple(lanes), tuple(ticks(view)), strips, 22.0, strips.bottom, _said(scenario, strips)
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


def _events(scenario: ScenarioEvidence, view: View, entry: Callable[[EventRecord], int], closest: float) -> list[Lane]:
    found: dict[str, list[Mark]] = {}
    for record in scenario.events:
        label, shape = lane_of(record)
        if view.shows(record.t_ns):
            data = record.data
            told = (since(record.t_ns, scenario.event_ns), record.node, data.what, data.prefix, data.detail)
            title = " ".join(part for part in told if part)
            found.setdefault(label, []).append(Mark(view.x(record.t_ns), shape, title, entry=entry(record)))
    order = [*(label for label in LANES if label in found), *(label for label in found if label not in LANES)]
    return [Lane(label, 0, "event", (), tuple(joined(found[label], closest))) for label in order]


def _broken(scenario: ScenarioEvidence, view: View, closest: float) -> Lane | None:
    marks = [
        Mark(
            view.x(when),
            end_of(c)[0],
            f"{since(when, scenario.event_ns)} {c.vantage} {USES[c.use]} connection {c.id}: {end_of(c)[1]}",
        )
        for c in sorted(scenario.connections, key=lambda c: c.broken_ns or c.closed_ns or 0)
        if (when := c.broken_ns or c.closed_ns) is not None and view.shows(when)
    ]
    return Lane("connections", 0, "broken", (), tuple(joined(marks, closest))) if marks else None


def end_of(connection: Connection) -> tuple[str, str]:
    """Shape and words for how a connection ended: `⊘`, `closed without notice`; both empty for one that did not."""
    if connection.broken_by is not None:
        return BROKEN[connection.broken_by], HOW[connection.broken_by]
    if is_broken(connection):
        return BROKEN["reset"], "broken"
    return (CLOSED, ANNOUNCED) if connection.closed_ns is not None else ("", "")


def joined(marks: Sequence[Mark], closest: float) -> list[Mark]:
    """Marks of one shape that would cover each other become one: nothing is left out, only counted."""
    groups: list[list[Mark]] = []
    for mark in marks:
        if groups and mark.x - groups[-1][0].x < closest and mark.shape == groups[-1][0].shape:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [
        group[0]
        if len(group) == 1
        else Mark(
            group[0].x,
            group[0].shape,
            "\n".join(
                [f"{len(group)} here", *(m.title for m in group[:NAMED]), *(["…"] if len(group) > NAMED else [])]
            ),
            group[0].dy,
            group[0].entry,
            len(group),
        )
        for group in groups
    ]


def _said(scenario: ScenarioEvidence, strips: Strips) -> str:
    """The picture for those who cannot see it."""
    steps = ", ".join(f"{r.data.action} at {since(r.t_ns, scenario.event_ns)}" for r in scenario.faults)
    groups = "; ".join(f"{g.label}: {g.hit} of {g.size} {g.noun} lost something" for g in strips.strips)
    return f"Time line. Fault: {steps or 'none'}. {groups}."
