"""The figures that are times of one series: for how long its probes, SYNs, requests or queries were lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from probes.episodes import milliseconds
from scenarios.verdict.doubts import strongest
from scenarios.verdict.facts import Kind, Part, Series, Trial
from scenarios.verdict.ranges import Range, around, doubted, worst
from scenarios.verdict.row import (
    CUT_SHORT,
    KINDS,
    NEEDED,
    NOUNS,
    Asked,
    Key,
    Row,
    Where,
    about,
    doubts_of,
    judged,
    touches,
)
from topologies.budget import Limits


def times(trial: Trial, budget: str, limits: Limits, part: Part) -> Iterator[Row]:
    given: tuple[tuple[Key, int | None, str], ...] = (
        ("black_hole", limits.black_hole_ns, ""),
        ("new_fail", limits.new_fail_ns, ""),
        ("request_fail", limits.request_fail_ns, limits.request_fail_from or ""),
        ("resolve_fail", limits.resolve_fail_ns, ""),
    )
    for key, limit, fallback in given:
        chosen = _series(trial, key)
        if not chosen and (limit is None or fallback):
            continue
        yield time_row(trial, Asked(key, "touched", part, budget, limit, not fallback, fallback), chosen)


def _series(trial: Trial, key: Key) -> list[Series]:
    """The series whose worst figure a key is. Where no UDP flow crosses the element, SYNs tell its black hole, too."""
    kinds: set[Kind] = {KINDS[key]}
    touched = [s for s in trial.series if touches(trial, s.touched)]
    if key == "black_hole" and not any(s.kind == "probe" and s.udp for s in touched):
        kinds.add("syn")
    return [s for s in touched if s.kind in kinds]


def time_row(trial: Trial, asked: Asked, chosen: Sequence[Series]) -> Row:
    part = asked.part
    ranged = [(range_of(trial, s, asked.where, part), s) for s in chosen]
    whole = worst(r for r, _ in ranged)
    by = max(ranged, key=lambda one: (one[0].low, one[1].part(part).figure_ns, one[1].name), default=None)
    figure = max((s.part(part).figure_ns for s in chosen), default=0)
    samples = sum(s.part(part).samples for s in chosen)
    if asked.key == "black_hole":
        samples += _standing_in(trial, chosen, part)
    return judged(
        trial,
        asked,
        figure=figure,
        found=whole,
        unit="ns",
        samples=samples,
        noun=NOUNS[KINDS[asked.key]],
        by=_whose(by[1], part, figure) if by else "",
        censored=part == "fault" and any(s.fault.open for s in chosen),
        step_ns=max((s.step_ns for s in chosen), default=0),
        doubts=about(trial, ((s.kind, s.vantage) for s in chosen), asked.where, part),
        missing=CUT_SHORT if part == "fault" and trial.cut_short and any(s.fault.open for s in chosen) else "",
    )


def _whose(series: Series, part: Part, figure: int) -> str:
    """Who broke a limit, or comes nearest to it, beyond doubt; with its own figure where another's, which is doubted, is larger."""
    lost = series.part(part)
    if not lost.failed:
        return ""
    own = f"{milliseconds(lost.figure_ns, series.step_ns):g} ms of it beyond doubt: "
    return f"{own if lost.figure_ns != figure else ''}{series.name}"


def _standing_in(trial: Trial, chosen: Sequence[Series], part: Part) -> int:
    """Where fewer than ten UDP probes crossed and none is lost, touched SYNs count with them. One that was lost shows nothing."""
    udp = [s.part(part) for s in chosen if s.kind == "probe" and s.udp]
    if sum(lost.samples for lost in udp) >= NEEDED or any(lost.failed for lost in udp):
        return 0
    syns = [s for s in trial.series if s.kind == "syn" and s not in chosen and touches(trial, s.touched)]
    return sum(s.part(part).samples - s.part(part).failed for s in syns)


def range_of(trial: Trial, series: Series, where: Where, part: Part) -> Range:
    lost = series.part(part)
    makes, hides, strong, _ = strongest(
        d for d in doubts_of(trial) if d.concerns(series.kind, series.vantage, where, part)
    )
    least = lost.figure_ns if lost.least_ns is None else lost.least_ns
    most = lost.figure_ns if lost.most_ns is None else lost.most_ns
    width = width_ns(trial, series, part)
    found = around(lost.figure_ns, least=least, most=most, width=width, strong=strong)
    return doubted(found, makes=makes, hides=hides or (lost.open and trial.cut_short and part == "fault"))


def width_ns(trial: Trial, series: Series, part: Part) -> int:
    return series.step_ns + trial.lateness_ns.get((series.kind, part), 0)
