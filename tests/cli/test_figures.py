"""A figure is met only where every round measured it and none missed; these tests know rows and synthetic evidence."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cli.figures import FAILED, Row, exit_code, hog_rounds, merged, not_passed, row, rows_beside_hogs, rows_of
from cli.hogs import hogs
from reports.evidence.again import again
from reports.evidence.reader import Evidence, read_evidence
from reports.evidence.schema import VerdictRecord
from tests.reports.made.plans import DEMO
from tests.reports.synthetic import write_run

values = st.none() | st.integers(0, 200).map(float)


@given(st.lists(values, min_size=1, max_size=9), st.booleans())
def test_a_target_is_met_only_by_every_round(measured: list[float | None], at_least: bool) -> None:
    (found,) = merged([row("x", value, "ms", 100, at_least=at_least)] for value in measured)
    known = [value for value in measured if value is not None]
    assert found.rounds == len(measured)
    if any((value < 100) if at_least else (value > 100) for value in known):
        assert found.met is False
    elif len(known) < len(measured):
        assert found.met is None
    else:
        assert found.met is True
    if known:
        assert found.worst == (min(known) if at_least else max(known))
        assert min(known) <= (found.ours or 0) <= max(known)
    else:
        assert (found.ours, found.worst) == (None, None)


def test_rounds_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        merged([[row("x", 1, "ms", 2)], []])


@given(st.integers(1, 40), st.integers(0, 40))
def test_as_many_rounds_have_hogs_as_were_asked_for(rounds: int, busy: int) -> None:
    busy = min(busy, rounds)
    found = hog_rounds(rounds, busy)
    assert (len(found), sum(found)) == (rounds, busy)
    assert busy == rounds or not found[0], "quiet before busy"


def _evidence(folder: Path) -> Evidence:
    return read_evidence(write_run(folder / "evidence.jsonl", DEMO, flows=12))


def test_the_demos_figures_are_those_of_its_verdicts(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path)
    verdicts = [s.verdict for s in evidence.scenarios if s.verdict]
    found = {one.what: one for one in rows_of(evidence)}
    failed = sum(v.verdict == "fail" for v in verdicts)
    assert found[FAILED].ours == failed
    assert found[FAILED].met is (failed == 0)
    assert len(not_passed(evidence)) == sum(v.verdict != "pass" for v in verdicts)
    (beside,) = rows_beside_hogs([evidence, evidence])
    assert (beside.worst, beside.rounds) == (failed, 2)
    assert rows_beside_hogs([]) == []


def test_the_stack_at_rest_is_no_scenario_and_fails_like_one(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path)
    judged = next(r for r in evidence.records if isinstance(r, VerdictRecord))
    rest = structs.replace(judged.data, scenario="steady", connections=0, verdict="fail")
    beside = replace(evidence, records=(*evidence.records, structs.replace(judged, scenario="steady", data=rest)))
    was, now = ({one.what: one.ours for one in rows_of(e)} for e in (evidence, beside))
    for what in ("scenarios", "connections established, fewest of a scenario"):
        assert now[what] == was[what]
    assert now[FAILED] == (was[FAILED] or 0) + 1


@given(st.lists(st.tuples(values, st.booleans()), max_size=5))
def test_what_was_not_measured_is_no_success(figures: list[tuple[float | None, bool]]) -> None:
    rows = [Row(what="x", ours=v, unit="ms", target=100 if wanted else None) for v, wanted in figures]
    code = exit_code(merged([[one]])[0] for one in rows)
    wanted = [v for v, held in figures if held]
    assert code == (1 if any(v is not None and v > 100 for v in wanted) else 3 if None in wanted else 0)


def test_a_scenario_that_was_played_twice_is_counted(tmp_path: Path) -> None:
    once = _evidence(tmp_path)
    name = once.scenarios[0].name
    more = [structs.replace(r, scenario=again(name)) for r in once.records if r.scenario == name]
    twice = Evidence((*once.records, *more))
    what = "scenarios played twice, the first try unknown"
    assert [next(r.ours for r in rows_of(e) if r.what == what) for e in (once, twice)] == [0, 1]


def test_hogs_are_busy_while_wanted_and_gone_afterwards() -> None:
    with hogs(2) as pids:
        for pid in pids:
            assert f"PPid:\t{os.getpid()}\n" in Path(f"/proc/{pid}/status").read_text()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
