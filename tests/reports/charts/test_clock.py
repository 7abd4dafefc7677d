"""Every event stands in its lane and none is dropped; these tests know events and marks, and no page."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reports.charts.clock import Mark, draw, joined, lane_of
from reports.charts.flows import flow_rows
from reports.charts.scale import views
from reports.evidence.reader import read_evidence
from reports.evidence.schema import Event, EventRecord
from reports.log import entry_of, lines, read_log
from tests.reports.synthetic import PLANS, write_run


def event(source: str, what: str) -> EventRecord:
    return EventRecord(t_ns=1, data=Event(source=source, what=what))


def test_an_event_stands_in_the_lane_of_what_it_tells() -> None:
    assert lane_of(event("bfd", "down")) == ("BFD, health", "◇")
    assert lane_of(event("l4", "unhealthy")) == ("BFD, health", "◇")
    assert lane_of(event("l4", "drain")) == ("L4, Envoy", "▲")
    assert lane_of(event("fib", "replace")) == ("FIB", "■")
    assert lane_of(event("neighbour", "failed"))[0] == lane_of(event("link", "down"))[0]
    assert lane_of(event("their-own", "thing")) == ("their-own", "□")


@given(st.lists(st.floats(0, 800), max_size=200), st.floats(1, 50))
def test_marks_that_would_cover_each_other_are_counted_and_none_is_lost(xs: list[float], closest: float) -> None:
    found = joined([Mark(x, "●", "x") for x in sorted(xs)], closest)
    assert sum(mark.size for mark in found) == len(xs)
    assert len(found) <= 800 / closest + 1


def test_lanes_stand_in_the_order_of_cause_and_effect(tmp_path: Path) -> None:
    (one,) = read_evidence(write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=12)).scenarios
    log = read_log(one)
    rows = flow_rows(one.flows, one.heal_ns)
    near, whole = draw(one, rows, views(one, rows), entry_of(log))
    labels = [lane.label for lane in near.lanes]
    assert labels == ["phase", "fault", "link, ARP", "BFD, health", "BGP", "FIB", "connections"]
    assert {mark.shape for lane in near.lanes if lane.label == "connections" for mark in lane.marks} == {"✖", "‖", "⇄"}
    assert near.view.end_ns - near.view.start_ns < whole.view.end_ns - whole.view.start_ns
    for lane in near.lanes:
        for mark in lane.marks:
            if mark.entry is not None:
                assert log[mark.entry].record is not None


def test_the_log_names_the_stage_that_an_event_ended(tmp_path: Path) -> None:
    (one,) = read_evidence(write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=12)).scenarios
    log = read_log(one)
    assert [m.t_ns for m in log] == sorted(m.t_ns for m in log)
    deltas = {m.delta: (m.source, m.node) for m in log if m.delta}
    assert deltas == {
        "detection +151 ms": ("bfd", "eu-edge-1"),
        "withdrawal +4 ms": ("bgp", "eu-edge-1"),
        "FIB +48 ms": ("fib", "eu-edge-2"),
        "first packet on the new path +3 ms": ("stage", "eu-l4-2"),
    }
    assert len(lines(log, one.event_ns)) == len(one.events) + len(one.faults) + 1
