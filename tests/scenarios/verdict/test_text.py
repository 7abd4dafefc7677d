"""How a row is said: no digit more than its accuracy carries, and every word of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.verdict import Load, Loaded, Row, judge
from scenarios.verdict.ranges import NOTHING
from scenarios.verdict.rows import Key, Unit
from scenarios.verdict.text import limit_of, told
from tests.scenarios.verdict.made import MS, NONE_BROKEN, allows, held, probes, row, rows, syns, trial, verdict
from tests.scenarios.verdict.strategies import trials
from topologies.budget import BrokenBudget


def made(
    figure: float,
    unit: Unit = "ns",
    *,
    key: Key = "black_hole",
    limit: float | BrokenBudget | None = 300 * MS,
    **more: int,
) -> Row:
    censored = bool(more.pop("censored", False))
    samples = more.pop("samples", 100)
    return Row(
        key, "touched", "fault", "kill-node", limit, figure, NOTHING, unit, samples, "ok", censored=censored, **more
    )  # type: ignore[arg-type]


# -- figures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure_ms", "step_ms", "said"),
    [
        (310, 10, "310 ms"),
        (314.4, 10, "310 ms"),
        (6_950, 10, "6,950 ms"),
        (1_234_567, 1, "1,234,567 ms"),
        (0.4, 0.1, "0.4 ms"),
        (123_456.7, 0.1, "123,456.7 ms"),
        (0, 10, "0 ms"),
        (310.2, 0, "310 ms"),
    ],
)
def test_a_time_has_the_digits_of_its_step(figure_ms: float, step_ms: float, said: str) -> None:
    assert told(made(figure_ms * MS, step_ns=int(step_ms * MS))) == said


@given(figure=st.integers(0, 10**13), step=st.sampled_from((100_000, MS, 2 * MS, 5 * MS, 10 * MS, 50 * MS, 1_000 * MS)))
def test_a_time_is_told_within_half_a_step_and_as_a_multiple_of_it(figure: int, step: int) -> None:
    said = told(made(figure, step_ns=step))
    assert re.fullmatch(r"[0-9,]+(\.[0-9]+)? ms", said)
    value_ns = round(float(said.removesuffix(" ms").replace(",", "")) * MS)
    assert value_ns % step == 0
    assert abs(value_ns - figure) <= step / 2


@pytest.mark.parametrize(
    ("failed", "of", "said"),
    [
        (100, 100, "100 %"),
        (5, 1_000, "0.5 %"),
        (1, 3, "33 %"),
        (999, 1_000, "99.9 %"),
        (0, 10, "0 %"),
        (12, 40_000, "0.03 %"),
    ],
)
def test_a_share_has_the_digits_of_one_request(failed: int, of: int, said: str) -> None:
    assert told(made(100 * failed / of, "percent", samples=of, limit=0.1)) == said


def test_a_loss_that_has_not_ended_took_at_least_so_long() -> None:
    assert told(made(6_950 * MS, step_ns=10 * MS, censored=1)) == "≥ 6,950 ms"
    assert told(made(0, key="ended", censored=1)) == "not over"
    assert told(made(0, key="return", censored=1)) == "not before the end"


def test_connections_are_told_by_number_use_and_where_they_ended() -> None:
    found = verdict(
        probes(), connections=(*held(4, end="own"), *held(1, 3, use="stream")), budget=allows(broken=NONE_BROKEN)
    )
    assert [told(r) for r in rows(found, "broken")] == [
        "4 of 30 busy, 4 of them ended at the failed element",
        "1 of 3 stream",
    ]
    none_crossed = verdict(probes(), connections=held(touched=False), budget=allows(broken=NONE_BROKEN))
    assert told(row(none_crossed, "broken")) == "0 of 0"


def test_a_latency_just_over_its_limit_is_not_told_as_the_limit() -> None:
    found = verdict(probes(), budget=allows(latency=20), until_heal=Loaded((20_400_000,) * 100))
    assert "latency was 20.4 ms, limit 20 ms" in found.reason


# -- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "unit", "said"),
    [
        (300 * MS, "ns", "300 ms"),
        (0, "ns", "0 ms"),
        (1_200_000 * MS, "ns", "1,200,000 ms"),
        (0.1, "percent", "0.1%"),
        (BrokenBudget("own"), "connections", "own"),
        (BrokenBudget("percentage", 0.5), "connections", "0.5%"),
        (BrokenBudget("count", 3), "connections", "3"),
        (None, "ns", "not judged"),
    ],
)
def test_a_limit_is_told_as_the_contract_has_it(limit: float | BrokenBudget | None, unit: Unit, said: str) -> None:
    assert limit_of(made(1, unit, limit=limit)) == said


# -- every word ----------------------------------------------------------------------------------------------------


@given(trial=trials())
def test_no_row_is_told_in_powers_of_ten_or_as_nothing(trial: object) -> None:
    for found in judge(trial).rows:  # type: ignore[arg-type]
        for said in (told(found), limit_of(found)):
            assert said
            assert not re.search(r"[0-9]e[+-]?[0-9]|nan|None", said)


def test_a_row_is_called_by_its_part_and_by_where_it_was_seen() -> None:
    found = verdict(
        probes(), syns(touched=False), connections=held(touched=False), until_heal=Loaded(load_elsewhere=Load(100, 0)),
        budget=allows(black_hole=300, elsewhere=allows(load_fail=1)),
    )  # fmt: skip
    assert {r.name for r in found.rows if r.state} == {
        "black_hole", "reversion.black_hole", "return", "elsewhere.new_fail", "elsewhere.reversion.new_fail",
        "elsewhere.broken", "elsewhere.reversion.broken", "elsewhere.load_fail",
    }  # fmt: skip


def test_a_broken_row_says_whose_figure_it_is_against_which_limit_of_which_budget() -> None:
    found = judge(trial(syns(400), syns(600, vantage="ap-client"), budget=allows(new_fail=300), name="kill-node/l4"))
    assert (
        "us-l4-1 broke the budget `kill-node/l4`: new_fail was 600 ms, limit 300 ms (syn of ap-client)" in found.reason
    )
