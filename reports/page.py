"""Renders one evidence file as one HTML page that needs no network, no server and no other file.

Everything on it comes from the evidence; this module must not know a live object, and judges nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import jinja2
from markupsafe import Markup

from reports import rows, told, words
from reports.charts.calibration import CalibrationChart, draw_calibration
from reports.charts.layout import lay_out
from reports.charts.stages import TITLES, longest_ms
from reports.evidence.reader import Evidence, read_evidence
from reports.evidence.schema import StageName
from reports.section import Detail, Section, section, slug_of

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("unpack.js", "raster.js", "page.js")
LIMIT = 1_000_000
"""Bytes of a page, whatever was lost: one that would be larger is made again with less detail."""
INK, PACKETS, COARSER = 160_000, 48_000, 2
"""Stretches of loss and packets of the first attempt, over all scenarios, and what each further one divides them by."""
ATTEMPTS = 8


def render(evidence_path: Path | str, out_path: Path | str) -> None:
    """Write the page for an evidence file; the old page stays until the new one is whole.

    Raises EvidenceError when the file cannot be read as evidence, OSError when the page cannot be written.
    """
    out = Path(out_path)
    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_name(f".{out.name}.{os.getpid()}")
    half.write_text(page(read_evidence(evidence_path)), encoding="utf-8")
    half.replace(out)


def page(evidence: Evidence, limit: int = LIMIT) -> str:
    """The page as text, at most `limit` bytes of UTF-8 unless even its tables alone are longer."""
    html = ""
    for attempt in range(ATTEMPTS):
        html = _page(evidence, COARSER**attempt)
        if len(html.encode("utf-8")) <= limit:
            break
    return html


def _page(evidence: Evidence, coarseness: int) -> str:
    taken: set[str] = set()
    scenarios = evidence.scenarios
    layout = lay_out(evidence.topology) if evidence.topology and evidence.topology.nodes else None
    span = max((longest_ms(one.verdict) for one in scenarios if one.verdict), default=0.0)
    share = max(1, len(scenarios)) * coarseness
    detail = Detail(INK // share, PACKETS // share, coarseness)
    sections = [
        section(one, slug_of(one.name, taken), layout=layout, stages_span_ms=span, detail=detail) for one in scenarios
    ]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            evidence=evidence,
            run=evidence.run,
            verdict=evidence.verdict,
            headline=told.headline(evidence),
            caveats=told.caveats(evidence),
            layout=layout,
            calibrations=_calibrations(evidence),
            sections=sections,
            style=_text("style.css") + _text("charts.css") + _text("print.css"),
            script=Markup("\n").join(_text(name) for name in SCRIPTS),
        )
    )


def _calibrations(evidence: Evidence) -> list[CalibrationChart]:
    kept = evidence.run.calibration if evidence.run else None
    drawn = [draw_calibration(one) for one in kept.intervals] if kept else []
    return [one for one in drawn if one]


def _stage_titles(sections: list[Section]) -> list[tuple[StageName, str]]:
    """The stages that any scenario of the run has, in their order."""
    seen = {stage.name for one in sections if one.verdict for stage in one.verdict.stages}
    return [(name, title) for name, title in TITLES.items() if name in seen]


def _text(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, rows=rows, told=told, NOTHING=words.NOTHING)
    environment.globals.update(stage_titles=_stage_titles)
    environment.tests["calm"] = lambda row, verdict: rows.calm(verdict, row)
    environment.filters.update(
        plain=words.plain, spoken=words.spoken, ms=words.milliseconds, response=words.response, n="{:,}".format
    )
    return environment
