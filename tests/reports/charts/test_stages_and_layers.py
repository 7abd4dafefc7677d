"""A bar is as long as what it stands for, and says no digit more than is known; these tests know figures and geometry."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts.layers import draw_layers
from reports.charts.stages import RIGHT, draw_small, draw_stages, longest_ms
from reports.evidence.reader import read_evidence
from reports.evidence.schema import Stage, StageName, Verdict
from reports.words import to_accuracy
from tests.reports.synthetic import PLANS, write_run

NAMES: tuple[StageName, ...] = ("detection", "withdrawal", "fib", "first-packet")


@pytest.fixture
def verdict(tmp_path: Path) -> Verdict:
    (one,) = read_evidence(write_run(tmp_path / "evidence.jsonl", PLANS[2:3], flows=12)).scenarios
    assert one.verdict
    return one.verdict


def staged(verdict: Verdict, lengths: list[int], acc_ns: int = 1_000_000) -> Verdict:
    at, stages = 7_000, []
    for name, length in zip(NAMES, lengths, strict=False):
        stages.append(Stage(name=name, start_ns=at, end_ns=at + length, acc_ns=acc_ns))
        at += length
    return msgspec.structs.replace(verdict, stages=tuple(stages))


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=4))
def test_the_parts_add_up_to_the_whole_and_stay_on_the_axis(lengths: list[int]) -> None:
    bare = Verdict(
        **{
            **dict.fromkeys(
                ("scenario", "title", "fault", "target", "element", "reason", "headline", "reproduce"), "x"
            ),
            **dict.fromkeys(("flows", "touched", "connections", "broken"), 0),
        },  # type: ignore[arg-type]
        verdict="pass",
        interval_ms=10.0,
        vantages=(),
        judged=(),
    )
    one = staged(bare, lengths)
    assert longest_ms(one) == pytest.approx(sum(lengths) / 1e6)
    drawn = draw_stages(one, budget_ms=300)
    assert drawn
    assert all(part.x >= 0 and part.x + part.width <= RIGHT + 2 for part in drawn.parts)
    assert sum(part.width for part in drawn.parts) == pytest.approx(drawn.width, abs=1.5 * len(lengths))


def test_an_injected_delay_of_the_fib_shows_up_in_its_part_alone(verdict: Verdict) -> None:
    usual = draw_small(staged(verdict, [151_000_000, 4_000_000, 17_000_000, 3_000_000]), 1000)
    delayed = draw_small(staged(verdict, [151_000_000, 4_000_000, 217_000_000, 3_000_000]), 1000)
    assert usual
    assert delayed
    grown = [late.width - part.width for part, late in zip(usual.parts, delayed.parts, strict=True)]
    assert grown[2] == pytest.approx(200 * 132 / 1000, abs=0.2)
    assert [grown[n] for n in (0, 1, 3)] == [0, 0, 0]
    assert (usual.parts[2].ms, delayed.parts[2].ms) == ("17", "217")


def test_without_stages_there_is_no_bar(verdict: Verdict) -> None:
    bare = msgspec.structs.replace(verdict, stages=())
    assert draw_stages(bare, 300) is None
    assert draw_small(bare, 300) is None


def test_a_stage_shorter_than_its_accuracy_says_that_its_order_was_not_seen(verdict: Verdict) -> None:
    drawn = draw_stages(staged(verdict, [151_000_000, 4_000_000], acc_ns=10_000_000), 300)
    assert drawn
    assert [part.overlaps for part in drawn.parts] == [False, True]
    assert [part.ms for part in drawn.parts] == ["150", "0"], "no digit below the decade of the accuracy"


@pytest.mark.parametrize(
    ("value", "acc", "said"),
    [(151.234, 1, "151"), (151.234, 2.5, "151"), (151.234, 10, "150"), (151.234, 0.05, "151.2"), (151.234, 0, "151.2")],
)
def test_no_figure_has_more_digits_than_its_accuracy_carries(value: float, acc: float, said: str) -> None:
    assert to_accuracy(value, acc) == said


def test_both_layers_stand_on_one_axis(verdict: Verdict) -> None:
    drawn = draw_layers(verdict, 10.0)
    assert drawn
    (group,) = drawn.groups
    widths = {bar.kind: bar.width for bar in group.bars}
    assert widths["stalled"] / widths["packets"] == pytest.approx(634 / 410, rel=0.01)
    assert [bar.text for bar in group.bars] == ["410 ± 10 ms", "410 ± 10 ms", "634 ms"]


def test_nothing_that_lasted_is_no_picture(verdict: Verdict) -> None:
    calm = tuple(
        msgspec.structs.replace(f, max_ms=0.0, new_fail_ms=0.0, stall_ms=3.4) if f.touched else f
        for f in verdict.vantages
    )
    assert draw_layers(msgspec.structs.replace(verdict, vantages=calm), 10.0) is None
