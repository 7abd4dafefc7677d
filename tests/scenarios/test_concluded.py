"""A row as the evidence has it: its numbers say what its words say, and nothing has to be read out of a sentence."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.evidence import schema
from scenarios.concluded import judgement
from scenarios.verdict import Heal, Load, Loaded, Row, Trial, judge
from tests.scenarios.made import EVENT, HEAL, asked, attempts, clean, connections, flow, told
from tests.scenarios.verdict.made import MS, NONE_BROKEN, OWN, S, allows, held, probes, requests, syns, trial
from tests.scenarios.verdict.strategies import trials
from topologies.budget import BrokenBudget, Budget

NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")


def rows(made: Trial) -> list[tuple[Row, schema.Judgement]]:
    return [(row, judgement(row)) for row in judge(made).rows]


def one(made: Trial, what: str) -> schema.Judgement:
    (found,) = (said for _, said in rows(made) if said.what == what)
    return found


def number(text: str) -> float:
    found = NUMBER.search(text)
    assert found is not None, text
    return float(found[0].replace(",", ""))


# -- one of each unit ----------------------------------------------------------------------------------------------


def test_a_time_is_told_in_ms_with_its_range_and_its_limit() -> None:
    said = one(trial(probes(320), budget=allows(black_hole=300)), "black_hole")
    assert (said.measured, said.budget, said.unit, said.limit_unit) == ("320 ms", "300 ms", "ms", "ms")
    assert (said.figure, said.low, said.high, said.limit) == (320, 310, 330, 300)
    assert (said.state, said.ok, said.samples, said.under) == ("fail", False, 1_000, "kill-node")
    assert (said.key, said.where, said.part, said.by) == ("black_hole", "touched", "fault", "probe of eu-client")


@pytest.mark.parametrize(
    ("limit", "unit", "number_", "word", "state"),
    [
        (BrokenBudget("count", 2), "count", 2, "2", "fail"),
        (BrokenBudget("percentage", 50), "percent", 50, "50%", "ok"),
        (OWN, "own", None, "own", "fail"),
        (NONE_BROKEN, "count", 0, "0", "fail"),
    ],
)
def test_connections_are_told_in_numbers_whatever_the_unit_of_their_limit(
    limit: BrokenBudget, unit: str, number_: float | None, word: str, state: str
) -> None:
    said = one(trial(probes(), connections=held(4, 30), budget=allows(broken=limit)), "broken")
    assert (said.measured, said.figure, said.among, said.use, said.unit) == (
        "4 of 30 busy",
        4,
        30,
        "busy",
        "connections",
    )
    assert (said.budget, said.limit, said.limit_unit, said.state) == (word, number_, unit, state)


def test_a_share_of_the_load_is_told_in_percent() -> None:
    said = one(trial(probes(), until_heal=Loaded(load=Load(1_000, 5)), budget=allows(load_fail=1)), "load_fail")
    assert (said.figure, said.unit, said.limit, said.limit_unit, said.samples) == (0.5, "percent", 1, "percent", 1_000)
    assert (said.measured, said.budget, said.among) == ("0.5 %", "1%", None)


def test_what_has_no_limit_is_told_and_not_judged() -> None:
    said = one(trial(probes(20), budget=allows(broken=OWN), connections=held()), "black_hole")
    assert (said.measured, said.budget, said.limit, said.limit_unit) == ("20 ms", "not judged", None, None)
    assert (said.state, said.ok) == (None, None)


def test_an_unknown_one_says_why_and_is_neither_kept_nor_broken() -> None:
    said = one(trial(probes(305), budget=allows(black_hole=300)), "black_hole")
    assert (said.state, said.ok) == ("unknown", None)
    assert said.why


def test_a_limit_that_was_not_in_the_contract_is_told_apart() -> None:
    found = trial(probes(), requests(), budget=allows(black_hole=300))
    assert one(found, "request_fail").given is False
    assert one(found, "black_hole").given is True
    assert one(found, "return").given is False


def test_after_the_heal_a_row_is_of_that_part() -> None:
    found = trial(probes(after=50), budget=allows(black_hole=300), heal=Heal(back_ns=2 * S))
    said = one(found, "reversion.black_hole")
    assert (said.key, said.part, said.figure) == ("black_hole", "after", 50)
    back = one(found, "return")
    assert (back.part, back.figure, back.limit) == ("after", 2_000, 60_000)


# -- properties ----------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(made=trials())
def test_numbers_equal_what_the_words_say(made: Trial) -> None:
    for row, said in rows(made):
        assert said.ok == {"ok": True, "fail": False}.get(row.state or "")
        assert (said.state, said.samples, said.censored, said.why) == (row.state, row.samples, row.censored, row.why)
        assert said.low is not None
        assert said.high is None or said.low <= said.high
        if said.unit == "connections":
            assert number(said.measured) == said.figure
            assert said.measured.startswith(f"{said.figure:.0f} of {said.among}")
        elif said.unit == "percent":
            assert number(said.measured) == pytest.approx(said.figure, abs=100 / max(1, row.samples))
        elif said.measured not in ("not before the end", "not over"):
            assert number(said.measured) == pytest.approx(said.figure, abs=max(1, row.step_ns / MS))
            assert said.measured.startswith("≥ ") == said.censored
        if said.limit is not None and said.key != "ended":
            assert number(said.budget) == pytest.approx(said.limit)
        if said.limit_unit is None:
            assert said.budget == "not judged" or said.key == "ended"


@settings(max_examples=50)
@given(made=trials())
def test_a_row_is_written_and_read_again_as_it_was(made: Trial) -> None:
    for _, said in rows(made):
        assert msgspec.json.decode(msgspec.json.encode(said), type=schema.Judgement) == said


# -- the whole verdict ---------------------------------------------------------------------------------------------


def test_the_verdict_has_the_figures_of_what_was_measured() -> None:
    budget = Budget(black_hole_ns=300 * MS, new_fail_ns=S, request_fail_ns=S, broken=OWN)
    seen = clean(
        flow(range(EVENT, EVENT + 12), number=7),
        held=connections(broken=EVENT + 5, among=3, own=True),
        attempts=[attempts(range(EVENT, EVENT + 8))],
        requests=[asked(range(EVENT, EVENT + 6))],
    )
    found = told(seen, budget)
    assert found.verdict == "pass", found.reason
    assert (found.flows, found.touched, found.connections, found.broken) == (3, 2, 14, 3)
    assert (found.black_hole_ms.max, found.new_fail_ms, found.request_fail_ms) == (120, 80, 60)
    assert found.recover_ms == 120
    by_name = {row.what: row for row in found.judged}
    assert by_name["black_hole"].figure == found.black_hole_ms.max
    assert by_name["new_fail"].figure == found.new_fail_ms
    assert by_name["request_fail"].figure == found.request_fail_ms
    assert by_name["broken"].figure == found.broken
    (us,) = found.vantages
    assert (us.broken, us.stall, us.new_fail_ms, us.request_fail_ms) == (3, 3, 80, 60)
    (web,) = found.new_requests
    assert (web.requests, web.failed, web.failed_by) == (HEAL - EVENT, 6, (("silent", 6),))


def test_an_earlier_attempt_is_told_with_its_reason() -> None:
    assert "further attempt" not in told(clean(), None).reason
    again = told(clean(), None, earlier="the lab was starved.")
    assert again.reason.endswith("This is a further attempt; the one before was unknown: the lab was starved.")


@given(touched=st.booleans(), carries=st.booleans())
def test_whether_it_carried_traffic_is_told(touched: bool, carries: bool) -> None:
    assert told(clean(flow(touched=touched)), None, carries=carries).carried is carries


def test_syns_alone_tell_of_a_stack_that_answers_no_ping() -> None:
    said = one(trial(syns(400), requests(), budget=allows(black_hole=300)), "black_hole")
    assert (said.figure, said.by, said.state) == (400, "syn of eu-client", "fail")
