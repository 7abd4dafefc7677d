"""Evidence that is cut, newer, empty or without an end: one clear sentence, and the rest is shown.

These tests read finished reports; they know how a file can be damaged and no template.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import summary
from reports.evidence.reader import EvidenceError, read_evidence
from reports.evidence.schema import VERSION
from reports.page import page, render
from tests.reports.synthetic import PLANS, write_run


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=12)


def newer_kind(path: Path, kind: str = "weather", times: int = 1) -> None:
    with path.open("a", encoding="utf-8") as file:
        for _ in range(times):
            file.write(json.dumps({"v": VERSION, "t_ns": 1, "kind": kind, "data": {"rain": True}}) + "\n")


def test_a_kind_of_a_newer_nospof_is_left_out_with_one_sentence(short: Path) -> None:
    before = read_evidence(short)
    newer_kind(short, times=3)
    after = read_evidence(short)
    assert after.records == before.records
    assert after.verdict == before.verdict
    assert after.unknown_kinds is not None
    said = "The evidence holds more than this nospof knows: lines that a newer nospof wrote are left out: 3 of kind"
    assert page(after).count(said) == 1
    assert summary.markdown(after).count(said) == 1
    assert "more than this nospof knows" not in page(before)


def test_a_kind_that_would_be_markup_stays_text(short: Path) -> None:
    newer_kind(short, "<b>bold</b>")
    assert "<b>bold</b>" not in page(read_evidence(short))


def test_a_line_without_a_kind_is_an_error_that_names_it(short: Path) -> None:
    lines = short.read_bytes().splitlines(keepends=True)
    short.write_bytes(lines[0] + b'{"v":1,"t_ns":1,"data":{}}\n' + b"".join(lines[1:]))
    with pytest.raises(EvidenceError, match=r"evidence\.jsonl:2: not a line of evidence"):
        read_evidence(short)


def test_a_newer_version_makes_no_page_and_leaves_the_old_one(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    render(short, out)
    old = out.read_bytes()
    short.write_text(short.read_text().replace(f'"v":{VERSION}', f'"v":{VERSION + 1}'))
    with pytest.raises(EvidenceError, match=r"version \d+ is newer than version \d+.*update this one"):
        render(short, out)
    assert out.read_bytes() == old


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_one_sentence_and_unknown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_bytes(content)
    evidence = read_evidence(path)
    html = page(evidence)
    assert evidence.verdict == "unknown"
    assert html.count('class="caveat"') == 1
    assert "The evidence holds no record" in html


def test_a_run_without_an_end_says_so_and_shows_what_it_has(tmp_path: Path) -> None:
    evidence = read_evidence(write_run(tmp_path / "evidence.jsonl", PLANS[:1], ended=False, flows=12))
    html = page(evidence)
    assert evidence.verdict == "unknown"
    assert html.count("The run has no end") == 1
    assert "Drained eu-l4-1" in html


def test_evidence_cut_in_the_middle_of_a_scenario_shows_its_flows_and_no_verdict(short: Path) -> None:
    lines = short.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if b'"kind":"verdict"' in line)
    short.write_bytes(b"".join(lines[:at]) + lines[at][:400])
    html = page(read_evidence(short))
    assert "The evidence is incomplete: line" in html
    assert "the run ended before this scenario was judged" in html
    assert "Every flow" in html
    assert "Where the milliseconds went" not in html
