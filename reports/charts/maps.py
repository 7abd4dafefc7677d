"""Three maps of one scenario, before, during and after: which way the flows went, and what was dead.

Pure geometry from a layout, the paths that taps saw and the fault's nodes; it must not know probes or HTML.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.layout import Layout, Place
from reports.evidence.schema import Fault, Moment, Path, Verdict

MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
THICKEST = 5.0
SHIFT = 1.7
"""Each direction keeps to its right of the line, so that there and back are told apart."""


@dataclass(frozen=True)
class Way:
    """The links that one vantage used in one direction with the same number of flows; `style` numbers the vantage,
    `into` says that they end at what was broken."""

    path: str
    width: float
    style: int
    touched: bool
    into: bool


@dataclass(frozen=True)
class Broken:
    """A node's box, or the middle of a link. `kind` is dead, process, drained or link; `nodes`: the node, or the link's ends."""

    kind: str
    x: float
    y: float
    width: float
    label: str
    title: str
    nodes: tuple[str, ...]
    line: str = ""


@dataclass(frozen=True)
class Map:
    moment: Moment
    ways: tuple[Way, ...]
    broken: tuple[Broken, ...]
    caption: str


@dataclass(frozen=True)
class Maps:
    maps: tuple[Map, ...]
    vantages: tuple[tuple[str, int, bool], ...]


def draw_maps(layout: Layout, verdict: Verdict, fault: Fault | None) -> Maps | None:
    """None where no path was seen: a map without paths would only look like an answer."""
    if not verdict.paths:
        return None
    vantages = list(dict.fromkeys(f.vantage for f in verdict.vantages)) or sorted({p.vantage for p in verdict.paths})
    touched = {f.vantage for f in verdict.vantages if f.touched}
    broken = broken_things(layout, verdict, fault)
    maps = []
    for moment in MOMENTS:
        paths, gone = _merged(verdict.paths, moment), broken if moment != "before" else ()
        ways = _ways(layout, paths, vantages, touched, gone)
        maps.append(Map(moment, ways, gone, _caption(paths, touched, gone)))
    return Maps(tuple(maps), tuple((name, n, name in touched) for n, name in enumerate(vantages)))


def broken_things(layout: Layout, verdict: Verdict, fault: Fault | None) -> tuple[Broken, ...]:
    """What the fault took away: its nodes, or the link between them."""
    names = [name for name in (fault.nodes if fault else ()) if name in layout.places]
    lost = [one for text in (fault.links if fault else ()) if (one := _lost_link(layout, text))]
    kind, said = "process", f"broken ({verdict.element})"
    if verdict.planned:
        kind, said = "drained", "asked to take no new flow"
    elif verdict.kills:
        kind, said = "dead", "dead"
    return *lost, *(
        Broken(kind, place.x, place.y, place.width, place.label, f"{name}: {said}", (name,))
        for name in names
        for place in [layout.places[name]]
    )


def _lost_link(layout: Layout, text: str) -> Broken | None:
    """From `us-transit:eth3–us-edge-1:eth1`; None if its ends are not on the map."""
    ends = [layout.places.get(end.split(":")[0]) for end in text.split("–")]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    a, b = ends[0], ends[1]
    line = f"M{a.x:g} {a.y:g}L{b.x:g} {b.y:g}"
    return Broken(
        "link", (a.x + b.x) / 2, (a.y + b.y) / 2, 0, "✖", f"{a.name} – {b.name}: link lost", (a.name, b.name), line
    )


def _merged(paths: Sequence[Path], moment: Moment) -> list[Path]:
    """One per vantage and direction: evidence may tell each family or service on its own."""
    flows: Counter[tuple[str, str, str]] = Counter()
    for path in paths:
        if path.moment == moment:
            flows[path.vantage, path.a, path.b] += path.flows
    return [Path(moment=moment, vantage=v, a=a, b=b, flows=size) for (v, a, b), size in flows.items()]


def _ways(
    layout: Layout, paths: Sequence[Path], vantages: Sequence[str], touched: set[str], broken: Sequence[Broken]
) -> tuple[Way, ...]:
    """Touched vantages on top of the others; the thickest line is the most that one vantage sent over one link."""
    most = max((path.flows for path in paths), default=1)
    lines: dict[Way, list[str]] = {}
    for path in sorted(paths, key=lambda p: p.vantage in touched):
        a, b = layout.places.get(path.a), layout.places.get(path.b)
        if a is None or b is None or path.flows <= 0:
            continue
        hit = path.vantage in touched
        width = max(0.8, THICKEST * math.sqrt(path.flows / most)) * (1.0 if hit else 0.5)
        style = vantages.index(path.vantage) if path.vantage in vantages else len(vantages)
        way = Way("", round(width, 1), style, hit, any(_ends_at(path, one) for one in broken))
        lines.setdefault(way, []).append(_line(a, b, SHIFT))
    return tuple(dataclasses.replace(way, path="".join(parts)) for way, parts in lines.items())


def _ends_at(path: Path, broken: Broken) -> bool:
    if broken.kind == "link":
        return {path.a, path.b} == set(broken.nodes)
    return broken.kind == "dead" and path.b in broken.nodes


def _line(a: Place, b: Place, shift: float) -> str:
    length = math.hypot(b.x - a.x, b.y - a.y) or 1.0
    dx, dy = -(b.y - a.y) / length * shift, (b.x - a.x) / length * shift
    return f"M{a.x + dx:.1f} {a.y + dy:.1f}L{b.x + dx:.1f} {b.y + dy:.1f}"


def _caption(paths: Sequence[Path], touched: set[str], broken: Sequence[Broken]) -> str:
    """Where the flows of the touched vantages went first, and how many ran into what was broken."""
    mine = [path for path in paths if path.vantage in touched]
    if not mine:
        return "no path of a touched vantage was seen"
    first, into = Counter[str](), Counter[str]()
    for path in mine:
        if path.a == path.vantage:
            first[path.b] += path.flows
        if any(_ends_at(path, one) for one in broken):
            into[path.b] += path.flows
    via = ", ".join(f"{name} ({flows:,})" for name, flows in first.most_common(3))
    lost = ", ".join(f"{name} ({flows:,})" for name, flows in into.most_common(3))
    return (f"first hop {via}" if via else "no first hop seen") + (f"; into what was broken: {lost}" if lost else "")
