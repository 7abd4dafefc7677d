"""The same verdicts for those who do not open the page: Markdown for people, JUnit for CI, one object for programs.

Rendered from evidence alone, with the words that the page uses; it must not judge or measure anything itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec

from reports import rows, told, words
from reports.charts.died import causes_of
from reports.evidence.reader import Evidence, ScenarioEvidence, read_evidence
from reports.evidence.schema import BlackHole, StageName, Verdict, VerdictWord, WhereDied
from reports.metrics import metrics

MARKDOWN_LIMIT = 64_000
"""Bytes; what a CI's step summary shows without cutting it."""

_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_\[\]|<>#~])")


class StageResult(msgspec.Struct, frozen=True, kw_only=True):
    """How long one stage of the failover took, within `acc_ms`, and where its end was seen."""

    name: StageName
    ms: float
    acc_ms: float
    node: str | None


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that was not measured is null."""

    name: str
    target: str | None
    verdict: VerdictWord
    reason: str
    flows: int | None = None
    touched: int | None = None
    interval_ms: float | None = None
    lateness_p99_ms: float | None = None
    black_hole_ms: BlackHole | None = None
    elsewhere_black_hole_ms: float | None = None
    connections: int | None = None
    broken: int | None = None
    new_fail_ms: float | None = None
    request_fail_ms: float | None = None
    stages: tuple[StageResult, ...] = ()


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `nospof demo --json` prints last."""

    verdict: VerdictWord
    report: str | None
    evidence: str | None
    boot_s: float | None
    scenarios: tuple[ScenarioResult, ...]


def demo_result(evidence: Evidence, *, report: Path | str | None = None) -> DemoResult:
    return DemoResult(
        verdict=evidence.verdict,
        report=str(report) if report is not None else None,
        evidence=str(evidence.path) if evidence.path is not None else None,
        boot_s=next((run.boot_s for run in (evidence.end, evidence.start) if run and run.boot_s is not None), None),
        scenarios=tuple(_scenario_result(one) for one in evidence.scenarios),
    )


def markdown(evidence: Evidence) -> str:
    """`summary.md`: the headline, a row per scenario, and why each one that did not pass did not."""
    run = evidence.run
    lines = [f"# {words.spoken(evidence.verdict)} · {_md(told.headline(evidence))}", ""]
    lines += [f"> {_md(caveat)}\n" for caveat in told.caveats(evidence)]
    lines += [
        "| verdict | scenario | target | black hole | budget | new connections failed | budget | new requests failed | budget "
        "| broken connections | budget |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_md_row(one) for one in evidence.scenarios]
    lines.append("")
    for one in evidence.scenarios:
        verdict = one.verdict
        if verdict is None:
            continue
        lines.append(f"**{words.SHAPES[verdict.verdict]} {_md(one.name)}**: {_md(verdict.headline)}  ")
        if why := told.cause(verdict):
            lines.append(f"{_md(why)}  ")
        lines += [
            f"{words.SHAPES['unknown']} {_md(rows.doubted(verdict, row))}.  "
            for row in rows.in_state(verdict, "unknown")
        ]
        lines += [f"{_md(asked)}  " for asked in _requests(verdict)]
        if went := words.stages(verdict):
            lines.append(f"Where the milliseconds went: {_md(went)}.  ")
        if verdict.died is not None and verdict.died.lost:
            lines.append(f"Where the packets died: {_md(_died(verdict.died))}.  ")
        lines += [f"Again: {_code(verdict.reproduce)}", ""]
    if run:
        lines += [*(f"{_md(sentence)}  " for sentence in told.calibration(run)), ""]
        commit = run.commit[:12] if run.commit else "not known"
        lines.append(f"{_md(run.topology)} · commit {_md(commit)} · {_md(run.started_utc)} · {_code(run.reproduce)}")
    return _shortened("\n".join(lines) + "\n")


def _requests(verdict: Verdict) -> list[str]:
    """A sentence per series of new requests of which some failed."""
    return [
        f"New requests of {one.vantage} to {one.service} v{one.family}: {one.failed:,} of {one.requests:,} failed "
        f"({words.outcomes(one)}), for {words.stretch(one.request_fail_ms, one.interval_ms, ended=one.ended)}."
        for one in verdict.new_requests
        if one.failed
    ]


def _died(died: WhereDied) -> str:
    """The largest causes in words, and what nobody knows, however little."""
    known = causes_of((cause for cause in died.causes if cause.source != "none"), most=3)
    unknown = f"{died.unattributed} of {died.lost} not attributed" if died.unattributed else ""
    return "; ".join(part for part in (known, unknown) if part)


def junit(evidence: Evidence) -> str:
    """`junit.xml`: a test case per scenario. An unknown is an error, never a skip and never a pass."""
    run = evidence.run
    suite = ElementTree.Element("testsuite", name="nospof")
    counted = {"pass": 0, "fail": 0, "unknown": 0}
    for one in evidence.scenarios:
        word = told.word_of(one)
        counted[word] += 1
        case = ElementTree.SubElement(
            suite, "testcase", classname="scenarios", name=_xml(one.name), time=f"{_seconds(one):.3f}"
        )
        properties = ElementTree.SubElement(case, "properties")
        for name, value in _properties(one, word):
            ElementTree.SubElement(properties, "property", name=name, value=_xml(value))
        if word != "pass":
            said = told.cause(one.verdict) if one.verdict else told.INTERRUPTED
            problem = ElementTree.SubElement(case, "failure" if word == "fail" else "error", message=_xml(said))
            problem.text = _xml(f"{one.verdict.headline}\nAgain: {one.verdict.reproduce}" if one.verdict else said)
    if evidence.verdict != "pass" and not counted[evidence.verdict]:
        # No scenario shows what the run as a whole came to: without a case of its own CI would show it better.
        counted[evidence.verdict] += 1
        case = ElementTree.SubElement(suite, "testcase", classname="run", name="run", time="0")
        properties = ElementTree.SubElement(case, "properties")
        ElementTree.SubElement(properties, "property", name="verdict", value=evidence.verdict)
        said = " ".join(told.caveats(evidence)) or told.headline(evidence)
        ElementTree.SubElement(case, "failure" if evidence.verdict == "fail" else "error", message=_xml(said))
    suite.set("tests", str(sum(counted.values())))
    suite.set("failures", str(counted["fail"]))
    suite.set("errors", str(counted["unknown"]))
    suite.set("skipped", "0")
    if run is not None:
        suite.set("timestamp", _xml(run.started_utc))
        suite.set("time", f"{run.wall_s or 0:.3f}")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def write(evidence_path: Path | str, folder: Path | str) -> None:
    """`summary.md`, `junit.xml` and `metrics.txt` of an evidence file.

    Raises EvidenceError when the file cannot be read as evidence, OSError when they cannot be written.
    """
    evidence = read_evidence(evidence_path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "summary.md").write_text(markdown(evidence), encoding="utf-8")
    (Path(folder) / "junit.xml").write_text(junit(evidence), encoding="utf-8")
    (Path(folder) / "metrics.txt").write_text(metrics(evidence), encoding="utf-8")


def _scenario_result(one: ScenarioEvidence) -> ScenarioResult:
    verdict = one.verdict
    if verdict is None:
        target = one.faults[0].data.target if one.faults else None
        return ScenarioResult(name=one.name, target=target, verdict="unknown", reason=told.INTERRUPTED)
    return ScenarioResult(
        name=one.name,
        target=verdict.target,
        verdict=verdict.verdict,
        reason=verdict.reason,
        flows=verdict.flows,
        touched=verdict.touched,
        interval_ms=verdict.interval_ms,
        lateness_p99_ms=verdict.lateness_p99_ms,
        black_hole_ms=verdict.black_hole_ms,
        elsewhere_black_hole_ms=verdict.elsewhere_black_hole_ms,
        connections=verdict.connections,
        broken=verdict.broken,
        new_fail_ms=verdict.new_fail_ms,
        request_fail_ms=verdict.request_fail_ms,
        stages=tuple(
            StageResult(name=one.name, ms=(one.end_ns - one.start_ns) / 1e6, acc_ms=one.acc_ns / 1e6, node=one.node)
            for one in verdict.stages
        ),
    )


def _properties(one: ScenarioEvidence, word: VerdictWord) -> list[tuple[str, str]]:
    verdict = one.verdict
    if verdict is None:
        return [("verdict", word)]
    found = [("verdict", word), ("target", verdict.target), ("black_hole", words.black_hole(verdict))]
    found.append(("new_fail", words.new_fail(verdict, words.tcp_interval_ms(one))))
    found.append(("request_fail", words.request_fail(verdict, words.request_interval_ms(one))))
    found.append(("broken", f"{verdict.broken} of {verdict.connections}"))
    found += [("limit_broken", rows.said(row)) for row in rows.broken(verdict)]
    found += [("limit_unknown", rows.doubted(verdict, row)) for row in rows.in_state(verdict, "unknown")]
    found += [("told", tag) for tag in told.tags(verdict)]
    if verdict.stages:
        found.append(("stages", words.stages(verdict)))
    return [*found, ("reproduce", verdict.reproduce)]


def _seconds(one: ScenarioEvidence) -> float:
    if not one.phases:
        return 0.0
    return (max(phase.end_ns for phase in one.phases) - min(phase.start_ns for phase in one.phases)) / 1e9


def _md_row(one: ScenarioEvidence) -> str:
    verdict = one.verdict
    if verdict is None:
        return f"| {words.spoken('unknown')} | {_md(one.name)} | {told.INTERRUPTED} | | | | | | | | |"
    cells = [
        words.spoken(verdict.verdict),
        ", ".join([_md(one.name), *told.tags(verdict)]),
        _md(verdict.target),
        words.black_hole(verdict),
        _md_budget(verdict, "black_hole"),
        words.new_fail(verdict, words.tcp_interval_ms(one)),
        _md_budget(verdict, "new_fail"),
        words.request_fail(verdict, words.request_interval_ms(one)),
        _md_budget(verdict, "request_fail"),
        f"{verdict.broken:,} of {verdict.connections:,}",
        _md_budget(verdict, "broken"),
    ]
    return "| " + " | ".join(cells) + " |"


def _md_budget(verdict: Verdict, what: str) -> str:
    found = rows.cell(verdict, what) or rows.NOT_JUDGED
    return found.mark + _md(found.text)


def _md(text: str) -> str:
    """Names come from a user's files: none may become markup or end a table's cell."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Inline code; a fence longer than any run of backticks inside it cannot be closed by it."""
    line = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def _shortened(text: str) -> str:
    raw = text.encode("utf-8")
    if len(raw) <= MARKDOWN_LIMIT:
        return text
    kept = raw[:MARKDOWN_LIMIT].decode("utf-8", "ignore").rsplit("\n", 1)[0]
    return kept + "\n\nCut here; the rest is in report.html.\n"


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold at all."""
    return _NOT_XML.sub("\ufffd", text)
