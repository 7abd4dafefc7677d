"""The page stands alone, is honest, and survives whatever names and losses a run brings.

These tests read the finished HTML; they know the evidence it came from and no template.
"""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from reports import rows, words
from reports.evidence.reader import read_evidence
from reports.evidence.schema import BlackHole, Event, Judgement, Span, Trust, Verdict, VerdictRecord
from reports.evidence.writer import EvidenceWriter
from reports.page import LIMIT, page, render
from reports.section import slug_of
from tests.reports.synthetic import DEMO, PLANS, SERVICES, Plan, write_run

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Reader(HTMLParser):
    """Collects elements and attributes, and that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def plain(html: str) -> str:
    return " ".join(" ".join(read(html).text).replace("\u00a0", " ").split())


def test_the_page_needs_nothing_but_itself(evidence_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "report.html"
    render(evidence_file, out)
    html = out.read_text(encoding="utf-8")
    unpacked = re.sub(r'<script type="text/plain"[^>]*>[A-Za-z0-9+/=]*</script>', "", html)
    assert not re.search(r"(?:https?:)?//[a-z0-9]", unpacked), "an address of another host"
    assert "@import" not in html
    assert set(re.findall(r"url\(([^)]*)\)", html)) == {"#hatch"}
    for tag, name, value in read(html).attributes:
        if name in {"src", "href", "action", "data", "xlink:href"}:
            assert value.startswith("#"), (tag, name, value)
    assert "default-src 'none'" in html, "the browser itself must refuse requests"
    assert [one.name for one in out.parent.iterdir()] == ["report.html"], "no half-written page is left behind"


def test_every_link_within_the_page_arrives(evidence_file: Path) -> None:
    reader = read(page(read_evidence(evidence_file)))
    assert len(reader.ids) == len(set(reader.ids))
    for _, name, value in reader.attributes:
        if name in {"href", "for", "aria-labelledby"}:
            assert value.removeprefix("#") in reader.ids


def test_a_verdict_has_a_shape_and_a_word_beside_its_colour(evidence_file: Path) -> None:
    html = page(read_evidence(evidence_file))
    chips = re.findall(r'<span class="chip (\w+)">([^<]*)</span>', html)
    assert dict(chips) == {"pass": "✔ PASS", "fail": "✖ FAIL", "unknown": "◌ UNKNOWN"}


def test_a_fail_names_the_broken_budget_and_the_element(evidence_file: Path) -> None:
    text = plain(page(read_evidence(evidence_file)))
    flow = "udp 10.1.2.7 port 40000 → 203.0.113.20 port 7 from eu-client"
    assert f"Broken budget at eu-l4-1: black hole 410 ms ({flow}), budget 300 ms" in text


def test_the_stack_at_rest_is_told_by_its_own_figure_and_not_as_a_fault_that_was_not_judged(
    evidence_file: Path, tmp_path: Path
) -> None:
    row = Judgement(what="latency_steady", measured="44 ms", budget="200 ms", ok=True, key="latency_steady", state="ok")
    (some, *_) = [one for one in read_evidence(evidence_file).records if isinstance(one, VerdictRecord)]
    rest = msgspec.structs.replace(
        some.data,
        scenario="steady",
        fault="steady",
        target="",
        verdict="pass",
        judged=(row,),
        headline="Nothing broke.",
    )
    path = tmp_path / "rest.jsonl"
    at_rest = msgspec.structs.replace(some, scenario="steady", data=rest)
    path.write_bytes(evidence_file.read_bytes() + msgspec.json.encode(at_rest) + b"\n")
    html = page(read_evidence(path))
    (line,) = re.findall(r'<tr>(?:(?!</tr>).)*href="#s-steady"(?:(?!</tr>).)*</tr>', html, re.DOTALL)
    assert "response time at rest (p99) 44 ms, budget 200 ms" in plain(line)
    assert "not judged" not in line
    (head,) = re.findall(r"scenario <b>steady</b>.*", html)
    assert "·" not in head, "it has no target, and its fault is its name"


def test_names_that_differ_by_signs_alone_have_ids_of_their_own() -> None:
    taken: set[str] = set()
    found = [slug_of(name, taken) for name in ("n a-b", "n a-b (2)", "n a.b", "n a b", "…", "…")]
    assert len(set(found)) == len(found)
    assert found[0] == "s-n-a-b"


def test_what_is_judged_of_a_service_and_what_is_not_is_told(evidence_file: Path) -> None:
    assert SERVICES[0] in plain(page(read_evidence(evidence_file)))


def test_an_unknown_names_the_fault_of_the_instrument_and_ticks_no_budget(tmp_path: Path) -> None:
    (plan,) = [one for one in PLANS if one.verdict == "unknown"]
    html = page(read_evidence(write_run(tmp_path / "evidence.jsonl", [plan])))
    assert f"Unknown: {plan.reason}" in plain(html)
    assert "✔" not in html[html.index("<nav") : html.index("</nav>")]


HOSTILE = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "\"'><b>&amp;", "{{ 7*7 }}")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_stay_text(tmp_path: Path, hostile: str) -> None:
    plan: Plan = dataclasses.replace(
        PLANS[2],
        scenario=hostile,
        target=hostile,
        headline=hostile,
        reason=hostile,
        nodes=(hostile,),
        events=((5, hostile, hostile, hostile, hostile),),
        stages=(("detection", 5, hostile, hostile),),
    )
    path = write_run(tmp_path / "evidence.jsonl", [plan])
    text = (
        path.read_text()
        .replace('"vantage":"eu-client"', f'"vantage":{json.dumps(hostile)}')
        .replace('"eu-l7-1"', json.dumps(hostile))
    )
    path.write_text(text)
    html = page(read_evidence(path))
    reader = read(html)
    calm = read(page(read_evidence(write_run(tmp_path / "calm.jsonl", [PLANS[2]]))))
    assert html.count("<script") == 2, "the page's own script and the data of one scenario"
    assert not [one for one in reader.attributes if one[1].startswith("on") or one[0] == "img"]
    assert {tag for tag, _, _ in reader.attributes} <= {tag for tag, _, _ in calm.attributes}
    assert "49" not in re.findall(r"<h2[^>]*>([^<]*)</h2>", html)


def test_a_page_stays_under_its_limit_whatever_was_lost(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLANS[2], stray_losses=400)
    evidence = read_evidence(write_run(tmp_path / "evidence.jsonl", [plan], flows=16))
    html = page(evidence, limit=150_000)
    assert len(html.encode()) <= 150_000 < len(page(evidence).encode()) <= LIMIT == 1_000_000
    assert "are drawn as loss" in html


def test_a_demo_of_eleven_scenarios_is_far_under_a_megabyte(tmp_path: Path) -> None:
    html = page(read_evidence(write_run(tmp_path / "evidence.jsonl", DEMO)))
    assert len(html.encode()) < 800_000


def test_thousands_of_events_are_joined_until_the_page_fits(tmp_path: Path) -> None:
    many = tuple(
        (
            ms,
            source,
            f"eu-edge-{ms % 2 + 1}",
            "update",
            f"203.0.113.{ms % 256}/32 by way of something that is long to say",
        )
        for ms in range(-1000, 8000, 12)
        for source in ("bfd", "bgp", "fib", "link", "l4", "theirs")
    )
    plan = dataclasses.replace(PLANS[2], events=many)
    evidence = read_evidence(write_run(tmp_path / "evidence.jsonl", [plan], flows=5))
    assert len(page(evidence).encode()) > 150_000
    assert len(page(evidence, limit=150_000).encode()) <= 150_000


def test_cut_evidence_makes_a_page_that_says_so(evidence_file: Path) -> None:
    raw = evidence_file.read_bytes()
    evidence_file.write_bytes(raw[:-100])
    text = plain(page(read_evidence(evidence_file)))
    assert "The evidence is incomplete" in text
    assert "The run has no end" in text


def test_evidence_cut_after_any_record_still_makes_a_page(tmp_path: Path) -> None:
    path = write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=2)
    lines = path.read_bytes().splitlines(keepends=True)
    for keep in [*range(0, 30, 2), len(lines) // 2, len(lines) - 1]:
        path.write_bytes(b"".join(lines[:keep]))
        read(page(read_evidence(path)))


def test_a_damaged_block_of_probes_costs_its_picture_and_nothing_else(evidence_file: Path) -> None:
    text = re.sub(r'"state":"[^"]{20}', '"state":"AAAA', evidence_file.read_text(), count=1)
    evidence_file.write_text(text)
    said = plain(page(read_evidence(evidence_file)))
    assert "cannot be drawn" in said
    assert "Drained eu-l4-1" in said


def test_no_figure_has_more_digits_than_the_interval_carries() -> None:
    assert words.milliseconds(412.34, 10.0, "ms") == "410 ms"
    assert words.milliseconds(412.34, 1.0) == "412"
    assert words.milliseconds(0.0, 10.0) == "0"
    assert words.milliseconds(4200.0, 10.0) == "4,200"
    assert words.milliseconds(1.26, 0.5) == "1.5"
    assert words.milliseconds(None, 10.0) == "–"


def test_an_outage_that_never_ended_is_a_lower_bound_and_no_number(evidence_file: Path) -> None:
    verdict = _verdict(evidence_file)
    censored = msgspec.structs.replace(verdict, black_hole_ms=BlackHole(max=4200.0, censored=3))
    assert words.black_hole(censored) == "≥ 4,200 ms, never ended"


def test_only_the_vantage_over_its_budget_is_marked(evidence_file: Path) -> None:
    verdict = _verdict(evidence_file)
    hit = next(one for one in verdict.vantages if one.touched)
    fine = msgspec.structs.replace(hit, vantage="us", max_ms=200.0)
    assert rows.of_vantage(verdict, hit).state == "fail"
    assert rows.of_vantage(verdict, fine).state == "ok"
    untyped = tuple(
        Judgement(what=one.what, measured=one.measured, budget=one.budget, ok=one.ok) for one in verdict.judged
    )
    old = msgspec.structs.replace(verdict, judged=untyped)
    assert rows.of_vantage(old, hit) == rows.Cell("300 ms", None), "where no number was written down none is read"


def test_failed_checks_of_trust_come_first_and_run_wide_ones_are_shown(evidence_file: Path) -> None:
    with EvidenceWriter(evidence_file) as writer:
        writer.write(Trust(check="clock", ok=False, sentence="stepped by 3 ms"), t_ns=1, scenario="kill-l4")
        writer.write(Trust(check="whole-run check", ok=True, sentence="all well"), t_ns=1)
        writer.write(Event(source="late", what="x"), t_ns=1, scenario="kill-l4")
    html = page(read_evidence(evidence_file))
    section = html[html.index('id="s-kill-l4"') : html.index('id="s-kill-region"')]
    assert section.index("stepped by 3 ms") < section.index("harness loss")
    assert "whole-run check" in html


def test_impaired_packets_are_told_beside_black_holes_only_where_there_were_any(evidence_file: Path) -> None:
    html = page(read_evidence(evidence_file))
    hit, calm = (_numbers(html, name) for name in ("kill-l4", "drain-l4"))
    assert hit.count("2 late, 7 reordered") == 1
    assert '<th scope="col">impaired</th>' in hit
    assert "reordered ones (RFC 4737)" in hit
    assert "impaired" not in calm
    assert "reordered" not in calm


def test_times_are_told_with_what_their_method_leaves_open(evidence_file: Path) -> None:
    text = plain(_numbers(page(read_evidence(evidence_file)), "kill-l4"))
    assert "full convergence of all flows 430 ms (410 to 450)" in text
    assert "on the new path after 410 ms (400 to 420) (24 flows)" in text
    assert "failover by time stamps at most 420 ms (24 flows)" in text


def test_what_has_no_other_path_or_no_touched_flow_tells_no_such_time(evidence_file: Path) -> None:
    text = plain(_numbers(page(read_evidence(evidence_file)), "drain-l4"))
    for said in ("new path", "time stamps", "full convergence of all flows 0 ms ("):
        assert said not in text


def test_a_span_that_never_ended_is_a_lower_bound() -> None:
    assert words.span(Span(ms=4200.0, low_ms=4190.0, flows=1), 10.0) == "≥ 4,200 ms, never ended"


def test_rounding_never_narrows_what_is_left_open() -> None:
    assert words.span(Span(ms=260.0, low_ms=245.0, high_ms=270.6, flows=16), 10.0) == "260 ms (240 to 280)"
    assert words.span(Span(ms=291.6, low_ms=251.6, high_ms=331.6, flows=16), 40.0) == "280 ms (250 to 340)"


def test_upper_bounds_stand_beside_what_they_bound(evidence_file: Path) -> None:
    text = evidence_file.read_text().replace('"p99_upper_ms":null', '"p99_upper_ms":420.0')
    evidence_file.write_text(text)
    html = page(read_evidence(evidence_file))
    assert "≤ 420" in plain(_numbers(html, "kill-l4"))
    assert "95 % upper bound by order statistics" in _numbers(html, "kill-l4")
    assert "0 of 120 connections broke: 2.5 % at most would, with 95 % confidence" in plain(_numbers(html, "drain-l4"))
    assert "with 95 % confidence" not in _numbers(html, "kill-l4"), "where some broke nothing is said of none"


def test_how_long_answers_took_is_drawn_for_each_vantage_and_phase(evidence_file: Path) -> None:
    html = page(read_evidence(evidence_file))
    for vantage in ("us-client", "eu-client", "ap-client"):
        assert f'aria-label="{vantage}: how long answers took; before: median 0.' in html


def test_a_damaged_histogram_costs_its_picture_and_nothing_else(evidence_file: Path) -> None:
    evidence_file.write_text(re.sub(r'"histogram":"[^"]{12}', '"histogram":"AAAA', evidence_file.read_text(), count=1))
    said = plain(page(read_evidence(evidence_file)))
    assert said.count("cannot be drawn") == 1
    assert "Drained eu-l4-1" in said


def test_evidence_from_before_there_were_histograms_has_no_such_picture(tmp_path: Path) -> None:
    path = write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=3)
    path.write_text(re.sub(r'"answers":\[[^\]]*\]', '"answers":[]', path.read_text()))
    assert "how long answers took" not in page(read_evidence(path))


def _numbers(html: str, scenario: str) -> str:
    """The numbers of one scenario, up to the next heading."""
    start = html.index(f'<h3 id="s-{scenario}-numbers"')
    return "<h3" + html[start + 3 : html.index("<h3", start + 3)]


def _verdict(path: Path) -> Verdict:
    return next(
        one.data for one in read_evidence(path).records if isinstance(one, VerdictRecord) and one.data.verdict == "fail"
    )
