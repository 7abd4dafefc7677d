"""New requests stand on the clock of the flows, a strip per vantage and service, and count for no black hole."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from reports.charts.ccdf import draw_ccdf
from reports.charts.clock import draw
from reports.charts.flows import FlowRow, flow_rows
from reports.charts.raster import pack_raster
from reports.charts.rate import draw_rates
from reports.charts.scale import views
from reports.evidence.reader import ScenarioEvidence, read_evidence
from tests.reports.synthetic import PLANS, write_run


@pytest.fixture
def scenario(tmp_path: Path) -> ScenarioEvidence:
    (one,) = read_evidence(write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=5)).scenarios
    return one


@pytest.fixture
def rows(scenario: ScenarioEvidence) -> list[FlowRow]:
    return flow_rows(scenario.flows, scenario.heal_ns)


def test_there_is_a_strip_for_each_service_where_something_happened(
    scenario: ScenarioEvidence, rows: list[FlowRow]
) -> None:
    near, _ = draw(scenario, rows, views(scenario, rows), lambda _: 0)
    strips = {one.label: one for one in near.strips.strips}
    assert [label for label in strips if "requests" in label] == [
        "eu-client · requests web",
        "eu-client · requests web-tls",
    ]
    asked = strips["eu-client · requests web"]
    assert (asked.size, asked.hit, asked.touched, asked.noun) == (2, 2, 2, "series")
    assert asked.ink
    assert near.strips.cell_ns < 50_000_000, "requests come seldom, and coarsen nothing but their own strip"


def test_requests_are_no_flows_with_a_path(rows: list[FlowRow], scenario: ScenarioEvidence) -> None:
    asked = [row for row in rows if row.kind.transport == "http"]
    assert len(asked) == 12
    assert not any(row.kind.routed for row in asked)
    without = [row for row in rows if row.kind.transport != "http"]
    near = views(scenario, without)[0]
    assert draw_ccdf(rows, 300.0) == draw_ccdf(without, 300.0)
    assert draw_rates(rows, near) == draw_rates(without, near)


def test_a_series_of_requests_has_no_packets_of_a_flow_with_its_number(
    scenario: ScenarioEvidence, rows: list[FlowRow]
) -> None:
    data = pack_raster(rows, scenario.episodes, views(scenario, rows), scenario.event_ns or 0, 10**6, 10**6).data
    routed = [group[4] for group in data["groups"] for _ in range(group[3])]
    assert {bool(row[11]) for row, path in zip(data["rows"], routed, strict=True) if not path} == {False}
    assert any(row[11] for row in data["rows"])


def test_requests_without_http_are_told_like_others(scenario: ScenarioEvidence, rows: list[FlowRow]) -> None:
    """In the service's own words, and so with the same strips, rows and counts."""
    blocks = [structs.replace(b, transport="request") if b.transport == "http" else b for b in scenario.flows]
    others = flow_rows(blocks, scenario.heal_ns)
    assert [(row.kind.label, row.kind.strip, row.kind.routed, row.lost) for row in others] == [
        (row.kind.label, row.kind.strip, row.kind.routed, row.lost) for row in rows
    ]
    assert {row.kind.transport for row in others if row.kind.strip.startswith("requests ")} == {"request"}
    shown = views(scenario, rows)
    assert draw(scenario, others, shown, lambda _: 0) == draw(scenario, rows, shown, lambda _: 0)
    packed = [pack_raster(some, scenario.episodes, shown, 0, 10**6, 10**6) for some in (others, rows)]
    assert packed[0] == packed[1]
