"""Page, Markdown, JUnit and JSON are told by one evidence file: they never disagree.

These tests read the reports as their users do and know nothing of how they are made.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.evidence.reader import Evidence, read_evidence
from reports.evidence.schema import BlackHole, Died, Event, Stage, StageName, Verdict, VerdictWord, WhereDied
from reports.evidence.writer import EvidenceWriter
from reports.metrics import metrics
from reports.page import page
from reports.summary import MARKDOWN_LIMIT, demo_result, junit, markdown, write
from tests.reports.synthetic import PLANS, run, write_run

words_: st.SearchStrategy[VerdictWord] = st.sampled_from(("pass", "fail", "unknown"))


def verdicts_of_page(html: str) -> tuple[str, list[str]]:
    overall = re.search(r'<header id="top">\s*<p class="over"><span class="chip (\w+)">', html)
    assert overall
    return overall[1], re.findall(r'class="scenario".*?<span class="chip (\w+)">', html, re.DOTALL)


def verdicts_of_junit(xml: str) -> list[str]:
    cases = ElementTree.fromstring(xml).iter("testcase")
    found = []
    for case in cases:
        told = case.find("properties/property[@name='verdict']")
        assert told is not None
        shown = "fail" if case.find("failure") is not None else "unknown" if case.find("error") is not None else "pass"
        assert told.get("value") == shown
        found.append(shown)
    return found


def verdicts_of_markdown(text: str) -> tuple[str, list[str]]:
    rows = re.findall(r"^\| . (PASS|FAIL|UNKNOWN) \|", text, re.MULTILINE)
    heading = re.match(r"# . (PASS|FAIL|UNKNOWN) ", text)
    assert heading
    return heading[1].lower(), [row.lower() for row in rows]


def all_agree(evidence: Evidence) -> None:
    told = msgspec.json.decode(msgspec.json.encode(demo_result(evidence)))
    overall, each = told["verdict"], [one["verdict"] for one in told["scenarios"]]
    assert verdicts_of_page(page(evidence)) == (overall, each)
    assert verdicts_of_markdown(markdown(evidence)) == (overall, each)
    cases = verdicts_of_junit(junit(evidence))
    assert cases[: len(each)] == each
    worst = "fail" if "fail" in cases else "unknown" if "unknown" in cases or not cases else "pass"
    assert worst == overall


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(words_, max_size=4), st.booleans())
def test_verdicts_agree_in_every_report(verdicts: list[VerdictWord], ended: bool) -> None:
    plans = [
        dataclasses.replace(PLANS[n], scenario=f"scenario-{n}", verdict=word, reason="because")
        for n, word in enumerate(verdicts)
    ]
    with tempfile.TemporaryDirectory() as folder:
        all_agree(read_evidence(write_run(Path(folder) / "evidence.jsonl", plans, ended=ended, flows=2)))


@pytest.mark.parametrize("word", ["fail", "unknown"])
def test_a_run_that_ended_worse_than_its_scenarios_is_as_bad_everywhere(tmp_path: Path, word: VerdictWord) -> None:
    path = write_run(tmp_path / "evidence.jsonl", PLANS[:1], ended=False)
    with EvidenceWriter(path) as writer:
        writer.write(run("end", word), t_ns=10**12)
    evidence = read_evidence(path)
    assert evidence.verdict == word
    all_agree(evidence)
    assert f"the run as a whole ended as {word}" in page(evidence)


def test_a_scenario_that_was_never_judged_is_unknown_everywhere(tmp_path: Path) -> None:
    path = write_run(tmp_path / "evidence.jsonl", PLANS[:1])
    with EvidenceWriter(path) as writer:
        writer.write(Event(source="agent", what="started"), t_ns=1, scenario="half-done")
    evidence = read_evidence(path)
    assert evidence.verdict == "unknown"
    all_agree(evidence)


def test_an_empty_file_is_unknown_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.touch()
    evidence = read_evidence(path)
    assert evidence.verdict == "unknown"
    html = page(evidence)
    assert verdicts_of_page(html) == ("unknown", [])
    assert verdicts_of_markdown(markdown(evidence)) == ("unknown", [])
    assert demo_result(evidence).verdict == "unknown"


def test_figures_agree_in_every_report(evidence_file: Path) -> None:
    evidence = read_evidence(evidence_file)
    html, text, result = page(evidence), markdown(evidence), demo_result(evidence)
    for one in result.scenarios:
        assert one.black_hole_ms is not None
        said = f"{one.black_hole_ms.max:.0f} ± 10 ms"
        row = re.search(rf'<a href="#s-{one.name}">.*?</tr>', html, re.DOTALL)
        assert row
        assert said in row[0]
        assert re.search(rf"^\| .*{one.name} .*{said}", text, re.MULTILINE)
        assert said in junit(evidence)
        assert f"{one.broken} of {one.connections}" in row[0]


def test_the_json_object_has_the_promised_keys_and_nulls(evidence_file: Path) -> None:
    told = msgspec.json.decode(msgspec.json.encode(demo_result(read_evidence(evidence_file), report="report.html")))
    assert set(told) == {"verdict", "report", "evidence", "boot_s", "scenarios"}
    assert (told["report"], told["evidence"], told["boot_s"]) == ("report.html", str(evidence_file), 8.42)
    scenario = told["scenarios"][0]
    assert set(scenario) == {
        *("name", "target", "verdict", "reason", "flows", "touched", "interval_ms", "lateness_p99_ms", "black_hole_ms"),
        *("elsewhere_black_hole_ms", "connections", "broken", "new_fail_ms", "request_fail_ms", "stages"),
    }
    assert set(scenario["black_hole_ms"]) == {"max", "p99", "censored"}
    assert scenario["black_hole_ms"]["p99"] is None, "under 100 touched flows"


def test_the_written_files_are_what_the_functions_return(evidence_file: Path, tmp_path: Path) -> None:
    write(evidence_file, tmp_path / "out")
    evidence = read_evidence(evidence_file)
    assert (tmp_path / "out" / "summary.md").read_text(encoding="utf-8") == markdown(evidence)
    assert (tmp_path / "out" / "junit.xml").read_text(encoding="utf-8") == junit(evidence)
    assert (tmp_path / "out" / "metrics.txt").read_text(encoding="utf-8") == metrics(evidence)


def test_the_markdown_fits_a_step_summary(tmp_path: Path) -> None:
    plans = [dataclasses.replace(PLANS[0], scenario=f"scenario-{n}", headline="long " * 400) for n in range(60)]
    text = markdown(read_evidence(write_run(tmp_path / "evidence.jsonl", plans, flows=1)))
    assert len(text.encode()) < MARKDOWN_LIMIT + 100
    assert "Cut here" in text


@pytest.mark.parametrize("hostile", ["a|b", "`x`", "<b>", "\x00\x1b[31m\ud7ff", "a\nb"])
def test_hostile_names_break_neither_xml_nor_a_markdown_table(tmp_path: Path, hostile: str) -> None:
    plan = dataclasses.replace(PLANS[2], target=hostile, headline=hostile, reason=hostile)
    evidence = read_evidence(write_run(tmp_path / "evidence.jsonl", [plan], flows=1))
    assert verdicts_of_junit(junit(evidence)) == ["fail"]
    (row,) = [line for line in markdown(evidence).splitlines() if line.startswith("| ✖")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 12


figures_ = st.fixed_dictionaries(
    {
        "hole": st.none() | st.integers(0, 500).map(lambda n: n * 10.0),
        "censored": st.integers(0, 1),
        "new_fail": st.none() | st.integers(0, 500).map(lambda n: n * 10.0),
        "broken": st.integers(0, 120),
        "lengths": st.lists(st.integers(0, 2_000), max_size=4),
        "word": words_,
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(figures_, min_size=1, max_size=3))
def test_every_figure_is_the_same_in_page_markdown_junit_json_and_metrics(given_: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.jsonl"
        with EvidenceWriter(path) as writer:
            writer.write(run("start"), t_ns=1)
            for n, figures in enumerate(given_):
                writer.write(made_verdict(f"one-{n}", figures), t_ns=2, scenario=f"one-{n}")
            writer.write(run("end"), t_ns=3)
        evidence = read_evidence(path)
        all_agree(evidence)
        html, text, told = page(evidence), markdown(evidence), demo_result(evidence)
        cases = list(ElementTree.fromstring(junit(evidence)).iter("testcase"))
        samples = dict(line.rsplit(" ", 1) for line in metrics(evidence).splitlines() if not line.startswith("#"))
    for one, figures, case in zip(told.scenarios, given_, cases, strict=False):
        row = re.search(rf'<a href="#s-{one.name}">.*?</tr>', html, re.DOTALL)
        line = re.search(rf"^\| .*{one.name} .*$", text, re.MULTILINE)
        assert row
        assert line
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        hole, fresh = said(figures["hole"], figures["censored"]), said(figures["new_fail"], 0)
        broken = f"{figures['broken']} of 120"
        for value in (hole, fresh, broken):
            assert f">{value}<" in row[0]
            assert f"| {value} |" in line[0]
        assert (properties["black_hole"], properties["new_fail"], properties["broken"]) == (hole, fresh, broken)
        assert one.black_hole_ms is not None
        assert (one.black_hole_ms.max, one.new_fail_ms, one.broken) == (
            figures["hole"],
            figures["new_fail"],
            figures["broken"],
        )
        for stage, length in zip(one.stages, figures["lengths"], strict=True):
            assert stage.ms == length
            assert f"{stage.name.replace('-', ' ')} {length:,} ms" in (properties["stages"] or "")
            assert f"{stage.name.replace('-', ' ')} {length:,} ms" in text.replace("\\", "")
            labels = f'nospof_stage_seconds{{scenario="{one.name}",stage="{stage.name}"}}'
            assert float(samples[labels]) == pytest.approx(length / 1000)
            assert f">{length:,} ms</td>" in html
        assert float(samples[f'nospof_verdict{{scenario="{one.name}",nospof_verdict="{one.verdict}"}}']) == 1
        key = f'nospof_black_hole_seconds{{scenario="{one.name}"}}'
        assert (key in samples) == (figures["hole"] is not None), "what was not measured is no zero"


def said(ms: float | None, censored: int) -> str:
    if ms is None:
        return "–"
    return f"≥ {ms:,.0f} ms, never ended" if censored else f"{ms:,.0f} ± 10 ms"


def made_verdict(name: str, figures: dict[str, Any]) -> Verdict:
    at, stages = 0, []
    names: tuple[StageName, ...] = ("detection", "withdrawal", "fib", "first-packet")
    for stage, length in zip(names, figures["lengths"], strict=False):
        stages.append(Stage(name=stage, start_ns=at, end_ns=at + length * 10**6, acc_ns=10**6))
        at += length * 10**6
    return Verdict(
        scenario=name,
        title=name,
        fault="kill-node",
        target="eu-l4-1",
        element="eu-l4-1",
        verdict=figures["word"],
        reason="because",
        headline="What happened.",
        interval_ms=10.0,
        flows=150,
        touched=24,
        connections=120,
        broken=figures["broken"],
        vantages=(),
        judged=(),
        reproduce="./nospof run",
        black_hole_ms=BlackHole(max=figures["hole"], censored=figures["censored"]),
        new_fail_ms=figures["new_fail"],
        stages=tuple(stages),
    )


causes_ = st.builds(
    Died,
    node=st.sampled_from(["edge", "l4", ""]),
    reason=st.sampled_from(["link cut", "NO_SOCKET"]),
    source=st.sampled_from(["cut", "kernel", "none"]),
    lost=st.integers(1, 500),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(causes=st.lists(causes_, min_size=1, max_size=6))
def test_where_probes_died_adds_up_in_page_markdown_and_metrics(causes: list[Died]) -> None:
    lost = sum(cause.lost for cause in causes)
    known = sum(cause.lost for cause in causes if cause.source != "none")
    figures = {"hole": 10.0, "censored": 0, "new_fail": None, "broken": 0, "lengths": [], "word": "pass"}
    verdict = msgspec.structs.replace(
        made_verdict("one", figures), died=WhereDied(lost=lost, attributed=known, causes=tuple(causes))
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.jsonl"
        with EvidenceWriter(path) as writer:
            writer.write(verdict, t_ns=2, scenario="one")
        evidence = read_evidence(path)
    samples = [line.rsplit(" ", 1) for line in metrics(evidence).splitlines() if not line.startswith("#")]
    told = {name: float(value) for name, value in samples}
    assert told['nospof_lost_probes{scenario="one"}'] == lost
    assert told['nospof_unattributed_probes{scenario="one"}'] == lost - known
    died = [float(value) for name, value in samples if name.startswith("nospof_died_probes{")]
    assert sum(died) == known
    assert len({name for name, _ in samples}) == len(samples), "no sample is told twice"
    assert f"{known:,} attributed, {lost - known:,} not" in page(evidence)
    said = markdown(evidence).replace("\\", "")
    assert (f"{lost - known} of {lost} not attributed" in said) == (known < lost)
    assert "Where the packets died: " in said


def test_metrics_end_as_openmetrics_asks_and_quote_names(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLANS[2], scenario='a"b\\c\nd')
    text = metrics(read_evidence(write_run(tmp_path / "evidence.jsonl", [plan], flows=1)))
    assert text.endswith("\n# EOF\n")
    assert 'scenario="a\\"b\\\\c\\nd"' in text
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) == len(set(names)), "a family is told once"
