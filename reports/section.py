"""What the page says of one scenario: its charts, tables and the bulk that the script unpacks, made from its evidence.

It puts together what the charts make; it must not know templates, files or another scenario.
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from dataclasses import dataclass

import msgspec

from reports import held, told, words
from reports import rows as rows_
from reports.charts.answers import Answers, draw_answers
from reports.charts.ccdf import Ccdf, draw_ccdf
from reports.charts.clock import Clock, draw, end_of
from reports.charts.closeup import Closeup, draw_closeups
from reports.charts.died import DiedTable, draw_died
from reports.charts.flows import FlowRow, flow_rows, socket
from reports.charts.hops import HopsChart, draw_hops
from reports.charts.layers import Layers, draw_layers
from reports.charts.layout import Layout
from reports.charts.maps import Maps, draw_maps
from reports.charts.raster import Raster, pack_raster
from reports.charts.rate import Rate, draw_rates
from reports.charts.scale import views
from reports.charts.stages import Stages, draw_small, draw_stages
from reports.evidence.reader import ScenarioEvidence
from reports.evidence.schema import Connection, Load, Trust, Verdict, VerdictWord
from reports.held import Ended
from reports.log import Moment, entry_of, lines, read_log


@dataclass(frozen=True)
class Detail:
    """How much of one scenario is drawn apart: `ink` stretches of loss and so many packets in its raster; `coarseness`
    is of its clock. Less of it only joins things, and the page says so."""

    ink: int
    packets: int
    coarseness: int


@dataclass(frozen=True)
class Section:
    """`unreadable` says which part of its evidence could not be drawn. `packed` is what the script unpacks."""

    id: str
    name: str
    word: VerdictWord
    verdict: Verdict | None
    event_ns: int | None
    tcp_interval_ms: float
    request_interval_ms: float
    died: DiedTable | None
    hops: HopsChart | None
    small: Stages | None
    stages: Stages | None
    clocks: tuple[Clock, ...]
    maps: Maps | None
    ccdf: Ccdf | None
    rates: tuple[Rate, ...]
    answers: tuple[Answers, ...]
    closeups: tuple[Closeup, ...]
    layers: Layers | None
    raster: Raster | None
    touched: int
    connections: tuple[Connection, ...]
    ended: tuple[Ended, ...]
    each_ended: int
    broken_before: int
    loads: tuple[Load, ...]
    trust: tuple[Trust, ...]
    key_moments: tuple[tuple[int, Moment], ...]
    events: int
    unreadable: str
    packed: str


def section(
    scenario: ScenarioEvidence, slug: str, *, layout: Layout | None, stages_span_ms: float, detail: Detail
) -> Section:
    """`stages_span_ms` is the axis of the small bars."""
    verdict = scenario.verdict
    unreadable = ""
    rows: list[FlowRow] = []
    answers: list[Answers] = []
    try:
        rows = flow_rows(scenario.flows, scenario.heal_ns)
        answers = draw_answers(scenario.flows)
    except ValueError as error:
        # The verdict and the other numbers do not depend on the packed block: say so and show them.
        unreadable = f"The probes of this scenario cannot be drawn: {error}"
    shown = views(scenario, rows)
    closeups: list[Closeup] = []
    try:
        closeups = draw_closeups(scenario.flows, rows, shown[0]) if shown and scenario.event_ns is not None else []
    except ValueError as error:
        unreadable = unreadable or f"The stamps of this scenario's probes cannot be drawn: {error}"
    log = read_log(scenario)
    budget_ms = rows_.limit_ms(verdict, "black_hole") if verdict else None
    event_ns = scenario.event_ns
    zero = event_ns if event_ns is not None else (shown[0].zero_ns if shown else 0)
    raster = pack_raster(rows, scenario.episodes, shown, zero, detail.ink, detail.packets) if rows else None
    ended = [c for c in scenario.connections if held.is_broken(c) or c.closed_ns is not None]
    bulk = {
        "raster": raster.data if raster else None,
        "log": lines(log, event_ns),
        "ended": [_ended_line(c, event_ns) for c in ended],
    }
    inject = next((r.data for r in scenario.faults if r.data.action == "inject"), None)
    return Section(
        id=slug,
        name=scenario.name,
        word=told.word_of(scenario),
        verdict=verdict,
        event_ns=event_ns,
        tcp_interval_ms=words.tcp_interval_ms(scenario),
        request_interval_ms=words.request_interval_ms(scenario),
        died=draw_died(verdict.died) if verdict else None,
        hops=draw_hops(verdict),
        small=draw_small(verdict, stages_span_ms) if verdict else None,
        stages=draw_stages(verdict, budget_ms) if verdict else None,
        clocks=tuple(draw(scenario, rows, shown, entry_of(log), detail.coarseness)),
        maps=draw_maps(layout, verdict, inject) if verdict and layout else None,
        ccdf=draw_ccdf(rows, budget_ms),
        rates=tuple(draw_rates(rows, shown[0])) if rows and shown else (),
        answers=tuple(answers),
        closeups=tuple(closeups),
        layers=draw_layers(verdict, words.tcp_interval_ms(scenario)) if verdict else None,
        raster=raster,
        touched=sum(1 for row in rows if row.touched),
        connections=scenario.connections,
        ended=tuple(held.ended_by_vantage(scenario.connections, event_ns)),
        each_ended=len(ended),
        broken_before=len(held.broke_in(scenario.connections, "control", event_ns)),
        loads=tuple(sorted(scenario.loads, key=lambda one: one.start_ns)),
        trust=tuple(sorted(scenario.trust, key=lambda t: t.ok)),
        key_moments=tuple((n, moment) for n, moment in enumerate(log) if moment.key),
        events=len(log),
        unreadable=unreadable,
        packed=pack(bulk),
    )


def pack(bulk: object) -> str:
    """JSON, deflated, base64: what the browser's own DecompressionStream reads, and no text that could end an element."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(bulk), 9)).decode("ascii")


def slug_of(name: str, taken: set[str]) -> str:
    """An element's id that no other scenario has."""
    base = "s-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "scenario")
    numbered = (f"{base}-{number}" for number in itertools.count(2))
    slug = next(one for one in itertools.chain([base], numbered) if one not in taken)
    taken.add(slug)
    return slug


def _ended_line(c: Connection, event_ns: int | None) -> list[str]:
    """Vantage, number, addresses and what was spoken, backend, how, when, phase, crossed, longest wait: as they are shown."""
    when = c.broken_ns if c.broken_ns is not None else c.closed_ns
    spoken = f"HTTP/{c.http}{' by TLS' if c.tls else ''}, {held.USES[c.use]}"
    return [
        c.vantage,
        str(c.id),
        f"{socket(c.src, c.sport)} → {socket(c.dst, c.dport)}, {spoken}",
        c.backend or words.NOTHING,
        " ".join(end_of(c)),
        words.since(when, event_ns) if when is not None else words.NOTHING,
        c.phase or words.NOTHING,
        "yes" if c.touched else "no",
        words.response(c.longest_answer_ms, " ms"),
    ]
