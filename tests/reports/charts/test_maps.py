"""The map shows the lab that the evidence describes and the ways that taps saw; these tests know names and places."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts.layout import WIDTH, Layout, lay_out
from reports.charts.maps import MOMENTS, draw_maps
from reports.evidence.reader import ScenarioEvidence, read_evidence
from reports.evidence.schema import Fault, Topology, TopologyLink, TopologyNode, Verdict
from tests.reports.made.plans import DEMO, Plan
from tests.reports.synthetic import topology, write_run

PLAN = {plan.scenario: plan for plan in DEMO}


def scenario(folder: Path, plan: Plan) -> ScenarioEvidence:
    (one,) = read_evidence(write_run(folder / "evidence.jsonl", [plan], flows=12)).scenarios
    return one


def told(one: ScenarioEvidence) -> tuple[Verdict, Fault]:
    assert one.verdict
    return one.verdict, one.faults[0].data


def test_regions_are_columns_and_roles_are_tiers() -> None:
    found = lay_out(topology())
    assert [column.region for column in found.columns] == ["us", "eu", "ap"]
    for region in ("us", "eu", "ap"):
        heights = [found.places[f"{region}-{role}"].y for role in ("client", "transit", "edge-1", "l4-1", "l7-1")]
        assert heights == sorted(set(heights)), "each role below the one before"
    assert found.places["eu-l4-1"].y == found.places["ap-l4-2"].y
    assert found.places["eu-l4-1"].label == "l4-1"
    assert len(found.links) == 57


def test_no_two_boxes_of_the_reference_overlap() -> None:
    places = list(lay_out(topology()).places.values())
    for a, b in itertools.combinations(places, 2):
        apart = abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2
        assert apart, (a.name, b.name)


@given(
    st.lists(
        st.tuples(st.sampled_from(["l4", "edge", "client", "dns", None, "odd"]), st.sampled_from(["x", "y", None])),
        max_size=30,
    ),
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60),
)
def test_any_topology_has_a_place_for_every_node(
    nodes: list[tuple[str | None, str | None]], ends: list[tuple[int, int]]
) -> None:
    made = Topology(
        name="any",
        nodes=tuple(
            TopologyNode(name=f"n{n}", kind="linux", role=role, region=region) for n, (role, region) in enumerate(nodes)
        ),
        links=tuple(TopologyLink(a=f"n{a}", a_if="e", b=f"n{b}", b_if="e", mtu=1500) for a, b in ends),
        services=(),
        digest="",
    )
    found = lay_out(made)
    assert set(found.places) == {node.name for node in made.nodes}
    assert all(0 <= place.x <= WIDTH and 0 < place.y <= found.height for place in found.places.values())


@pytest.fixture
def layout() -> Layout:
    return lay_out(topology())


def test_a_dead_node_is_on_the_maps_during_and_after_and_flows_run_into_it(tmp_path: Path, layout: Layout) -> None:
    verdict, fault = told(scenario(tmp_path, PLAN["kill-l4"]))
    found = draw_maps(layout, verdict, fault)
    assert found
    before, during, after = found.maps
    assert [one.moment for one in found.maps] == list(MOMENTS)
    assert before.broken == ()
    assert [(one.kind, one.label) for one in during.broken] == [("dead", "l4-1")]
    assert during.broken == after.broken
    assert [any(way.into for way in one.ways) for one in found.maps] == [False, True, False]
    assert during.caption == "first hop eu-transit (100); into what was broken: eu-l4-1 (50)"
    assert "broken" not in after.caption


def test_a_lost_link_is_drawn_between_its_ends(tmp_path: Path, layout: Layout) -> None:
    verdict, fault = told(scenario(tmp_path, PLAN["cut-link"]))
    found = draw_maps(layout, verdict, fault)
    assert found
    (lost,) = found.maps[1].broken
    a, b = layout.places["eu-transit"], layout.places["eu-edge-1"]
    assert (lost.kind, lost.x, lost.y) == ("link", (a.x + b.x) / 2, (a.y + b.y) / 2)
    assert any(way.into for way in found.maps[1].ways)


@pytest.mark.parametrize(
    ("name", "kind"), [("drain-l7", "drained"), ("crash-envoy", "process"), ("kill-region", "dead")]
)
def test_what_is_broken_says_how(tmp_path: Path, layout: Layout, name: str, kind: str) -> None:
    verdict, fault = told(scenario(tmp_path, PLAN[name]))
    found = draw_maps(layout, verdict, fault)
    assert found
    assert {one.kind for one in found.maps[2].broken} == {kind}
    assert len(found.maps[2].broken) == len(PLAN[name].nodes)


def test_a_link_that_the_map_does_not_have_is_left_out(tmp_path: Path, layout: Layout) -> None:
    verdict, fault = told(scenario(tmp_path, PLAN["cut-link"]))
    for strange in ("a:eth0–b:eth0", "nonsense", ""):
        found = draw_maps(layout, verdict, msgspec.structs.replace(fault, links=(strange,)))
        assert found
        assert found.maps[1].broken == ()


def test_more_flows_are_a_thicker_line(tmp_path: Path, layout: Layout) -> None:
    verdict, fault = told(scenario(tmp_path, PLAN["kill-l4"]))
    some = verdict.paths[0]
    paths = (msgspec.structs.replace(some, flows=100), msgspec.structs.replace(some, a=some.b, b=some.a, flows=4))
    found = draw_maps(layout, msgspec.structs.replace(verdict, paths=paths), fault)
    assert found
    thick, thin = sorted((way.width for way in found.maps[0].ways), reverse=True)
    assert thick == pytest.approx(5 * thin, rel=0.25)


def test_paths_of_nodes_that_the_topology_does_not_have_are_left_out(tmp_path: Path, layout: Layout) -> None:
    verdict, fault = told(scenario(tmp_path, PLAN["kill-l4"]))
    strange = tuple(msgspec.structs.replace(path, a="nobody") for path in verdict.paths)
    found = draw_maps(layout, msgspec.structs.replace(verdict, paths=strange), fault)
    assert found
    assert all(one.ways == () for one in found.maps)


def test_without_a_path_there_is_no_map(tmp_path: Path, layout: Layout) -> None:
    verdict, fault = told(scenario(tmp_path, dataclasses.replace(PLAN["kill-l4"], seen_paths=False)))
    assert draw_maps(layout, verdict, fault) is None
