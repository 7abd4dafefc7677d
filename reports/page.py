"""Renders one evidence file as one HTML page that needs no network, no server and no other file.

Everything on it comes from the evidence; this module must not know a live object, and judges nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from reports import words
from reports.charts.clock import Clock, draw
from reports.charts.strips import FlowRow, flow_rows
from reports.evidence.reader import Evidence, ScenarioEvidence, read_evidence
from reports.evidence.schema import Connection, Trust, Verdict, VerdictWord

TEMPLATES = Path(__file__).parent / "templates"
FLOWS_LISTED = 50
CONNECTIONS_LISTED = 100
EVENTS_LISTED = 200


@dataclass(frozen=True)
class Moment:
    """One line of the log; `t_ns` places it and `acc_ns` says how exactly."""

    t_ns: int
    acc_ns: int
    mark: str
    source: str
    node: str
    what: str
    detail: str


@dataclass(frozen=True)
class Section:
    """What the page says of one scenario. `unreadable` says which part of its evidence could not be drawn."""

    id: str
    name: str
    word: VerdictWord
    verdict: Verdict | None
    event_ns: int | None
    rows: tuple[FlowRow, ...]
    worst: tuple[FlowRow, ...]
    clocks: tuple[Clock, ...]
    connections: tuple[Connection, ...]
    broken: tuple[Connection, ...]
    trust: tuple[Trust, ...]
    log: tuple[Moment, ...]
    log_hidden: int
    unreadable: str
    readout: Markup


def render(evidence_path: Path | str, out_path: Path | str) -> None:
    """Write the page for an evidence file; the old page stays until the new one is whole.

    Raises EvidenceError when the file cannot be read as evidence, OSError when the page cannot be written.
    """
    out = Path(out_path)
    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_name(f".{out.name}.{os.getpid()}")
    half.write_text(page(read_evidence(evidence_path)), encoding="utf-8")
    half.replace(out)


def page(evidence: Evidence) -> str:
    """The page as text."""
    taken: set[str] = set()
    sections = [_section(one, _slug(one.name, taken)) for one in evidence.scenarios]
    template = _environment().get_template("page.html.j2")
    return template.render(
        evidence=evidence,
        run=evidence.run,
        verdict=evidence.verdict,
        headline=words.headline(evidence),
        caveats=words.caveats(evidence),
        sections=sections,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
    )


def _section(scenario: ScenarioEvidence, slug: str) -> Section:
    unreadable = ""
    rows: list[FlowRow] = []
    try:
        rows = flow_rows(scenario.flows, scenario.heal_ns)
    except ValueError as error:
        # The verdict and the other numbers do not depend on the packed block: say so and show them.
        unreadable = f"The probes of this scenario cannot be drawn: {error}"
    clocks = draw(scenario, rows)
    log = _log(scenario)
    return Section(
        id=slug,
        name=scenario.name,
        word=words.word_of(scenario),
        verdict=scenario.verdict,
        event_ns=scenario.event_ns,
        rows=tuple(rows),
        worst=tuple(
            sorted((r for r in rows if r.touched), key=lambda r: (-r.outage_ns, -r.lost, r.vantage, r.flow.id))
        ),
        clocks=tuple(clocks),
        connections=scenario.connections,
        broken=tuple(c for c in scenario.connections if c.broken_by is not None or c.broken_ns is not None),
        trust=tuple(sorted(scenario.trust, key=lambda t: t.ok)),
        log=tuple(log[:EVENTS_LISTED]),
        log_hidden=max(0, len(log) - EVENTS_LISTED),
        unreadable=unreadable,
        readout=_readout(rows, clocks),
    )


def _log(scenario: ScenarioEvidence) -> list[Moment]:
    marks = {"inject": "▼", "effective": "◆", "heal": "△", "healed": "○"}
    found = [
        Moment(
            r.t_ns,
            r.acc_ns,
            marks[r.data.action],
            "fault",
            ", ".join(r.data.nodes),
            f"{r.data.action}{'' if r.data.ok else ' (NOT OK)'}",
            " · ".join(
                part
                for part in (
                    f"{r.data.fault} {r.data.target}",
                    r.data.detail,
                    f"spread {words.plain(r.data.spread_ns / 1e6)} ms" if len(r.data.nodes) > 1 else "",
                )
                if part
            ),
        )
        for r in scenario.faults
    ]
    found += [
        Moment(r.t_ns, r.acc_ns, "●", r.data.source, r.node or "", r.data.what, r.data.detail) for r in scenario.events
    ]
    return sorted(found, key=lambda m: m.t_ns)


def _readout(rows: Sequence[FlowRow], clocks: Sequence[Clock]) -> Markup:
    """What the script shows for the row under the pointer, as JSON that cannot end its script element."""
    lines = [
        f"{row.vantage} · flow {row.flow.id} · {row.tuple_text} · "
        + (
            f"{words.count(row.lost, 'probe')} lost, black hole {words.plain(row.outage_ns / 1e6)} ms"
            if row.lost
            else "nothing lost"
        )
        + (" · crossed the broken element" if row.touched else "")
        for row in rows
    ]
    data: dict[str, Any] = {"rows": lines, "ys": {clock.name: clock.strips.ys for clock in clocks}}
    text = msgspec.json.encode(data).decode("utf-8")
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _slug(name: str, taken: set[str]) -> str:
    base = "s-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "scenario")
    slug = base
    while slug in taken:
        slug = f"{base}-{len(taken)}"
    taken.add(slug)
    return slug


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        words=words, FLOWS_LISTED=FLOWS_LISTED, CONNECTIONS_LISTED=CONNECTIONS_LISTED, NOTHING=words.NOTHING
    )
    environment.filters.update(plain=words.plain, spoken=words.spoken, ms=words.milliseconds)
    return environment
