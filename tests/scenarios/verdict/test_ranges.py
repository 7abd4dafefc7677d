"""A figure with its accuracy: where the truth may lie, and what a limit makes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scenarios.verdict.ranges import NOTHING, UNKNOWN, Range, around, worst

figures = st.integers(0, 10_000)
widths = st.integers(0, 500)
ranges = st.builds(
    lambda low, more, surely: Range(low, None if more is None else low + more, surely),
    figures, st.none() | widths, st.booleans(),
)  # fmt: skip
ORDER = {"ok": 0, "unknown": 1, "fail": 2}


@given(range_=ranges, limit=figures)
def test_low_end_over_is_fail_high_end_within_is_ok_else_unknown(range_: Range, limit: int) -> None:
    state = range_.against(limit)
    if range_.low > limit or (limit == 0 and range_.surely):
        assert state == "fail"
    elif range_.high is not None and range_.high <= limit:
        assert state == "ok"
    else:
        assert state == "unknown"


@given(range_=ranges, limit=figures, tighter=figures)
def test_a_tighter_limit_is_never_kept_better(range_: Range, limit: int, tighter: int) -> None:
    low, high = sorted((limit, tighter))
    assert ORDER[range_.against(low)] >= ORDER[range_.against(high)]


@given(figure=figures, width=widths, strong=widths, least=figures, most=figures)
def test_the_truth_lies_within_and_what_widens_never_narrows(
    figure: int, width: int, strong: int, least: int, most: int
) -> None:
    least, figure, most = sorted((least, figure, most))
    found = around(figure, least=least, most=most, width=width, strong=strong)
    assert found.high is not None
    assert 0 <= found.low <= figure <= found.high
    wider = around(figure, least=least, most=most, width=width + 7, strong=strong + 7)
    assert wider.high is not None
    assert wider.low <= found.low
    assert wider.high >= found.high
    assert found.surely or not wider.surely


@given(width=widths, strong=widths)
def test_nothing_lost_is_made_wider_only_by_what_can_make_loss(width: int, strong: int) -> None:
    found = around(0, least=0, most=0, width=width, strong=strong)
    assert found == Range(0, strong)
    assert (found.against(0) == "ok") == (strong == 0)


def test_one_lost_sample_breaks_a_limit_of_0_though_its_range_begins_there() -> None:
    found = around(10, least=10, most=10, width=10, strong=0)
    assert (found.low, found.against(0), found.against(20)) == (0, "fail", "ok")
    assert around(10, least=10, most=10, width=10, strong=60).against(0) == "unknown"
    assert around(10, least=0, most=10, width=10, strong=0).against(0) == "unknown"


def test_an_answer_that_may_have_come_too_late_is_no_loss_and_no_proof_of_none() -> None:
    found = around(0, least=0, most=10, width=10, strong=0)
    assert (found.against(0), found.against(20)) == ("unknown", "ok")


@given(several=st.lists(ranges, max_size=4), limit=figures)
def test_the_worst_of_several_is_as_bad_as_the_worst_of_them(several: list[Range], limit: int) -> None:
    state = worst(several).against(limit)
    assert state == max((r.against(limit) for r in several), key=lambda s: ORDER[s], default="ok")


def test_what_nobody_knows_keeps_no_limit_and_breaks_none() -> None:
    assert {UNKNOWN.against(limit) for limit in (0, 1, 10**12)} == {"unknown"}
    assert NOTHING.against(0) == "ok"
