"""How long answers took is drawn to scale, every answer in some bar; these tests know histograms and geometry, no page."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from reports.charts.answers import BINS, LEAST, LEVELS, draw_answers, told
from reports.evidence.histogram import Histogram, histogram, pack_histogram
from reports.evidence.schema import AnswerTimes, Flows, pack_i64
from tests.reports.charts.blocks import block
from tests.reports.test_packing import patient

MS = 1_000_000


def answered(vantage: str = "eu", transport: Literal["udp", "tcp", "icmp"] = "udp", **phases: list[int]) -> Flows:
    """A block whose probes were answered after so many ns in each phase."""
    return structs.replace(
        block([b"\0"], vantage=vantage, transport=transport),
        answers=tuple(
            AnswerTimes(phase=phase, histogram=pack_histogram(histogram(took)))  # type: ignore[arg-type]
            for phase, took in phases.items()
        ),
    )


def heights(path: str) -> list[int]:
    """The height of each bin of an outline."""
    assert re.fullmatch(r"(M0 0(V(0|-\d+)h\d+)*V0z)?", path)
    return [int(height) for height, size in re.findall(r"V-?(\d+)h(\d+)", path) for _ in range(int(size))]


@patient
@given(took=st.lists(st.integers(0, 10**11), min_size=1, max_size=40))
def test_every_answer_is_within_the_picture_and_the_fullest_bin_as_high_as_it(took: list[int]) -> None:
    (drawn,) = draw_answers([answered(fault=took)])
    bins = heights(drawn.rows[1].bars)
    assert len(bins) == BINS
    assert max(bins) == LEVELS
    assert 1 <= sum(1 for height in bins if height) <= len(took)
    assert all(height == 0 or height >= LEAST for height in bins), "a single slow answer is never drawn as nothing"
    assert drawn.rows[1].answers == len(took)
    assert drawn.rows[0].bars == drawn.rows[2].bars == ""


def test_one_slow_answer_among_a_million_is_still_seen() -> None:
    (drawn,) = draw_answers([answered(fault=[400_000] * 1_000_000 + [1_000 * MS])])
    assert [height for height in heights(drawn.rows[1].bars) if height] == [LEVELS, LEAST]


def test_blocks_of_a_vantage_are_one_picture_and_all_vantages_share_their_axis() -> None:
    pictures = draw_answers(
        [
            answered(control=[MS] * 3, fault=[2 * MS]),
            answered(control=[3 * MS], transport="icmp"),
            answered("us", recovery=[90 * MS]),
            answered("us", "tcp", control=[MS]),
        ]
    )
    assert [(one.vantage, [row.answers for row in one.rows]) for one in pictures] == [
        ("eu", [4, 1, 0]),
        ("us", [0, 0, 1]),
    ]
    assert pictures[0].xs == pictures[1].xs
    assert [axis.text for axis in pictures[0].xs] == ["1", "10", "100"]
    eu, us = heights(pictures[0].rows[1].bars), heights(pictures[1].rows[2].bars)
    assert eu.index(LEVELS) < us.index(LEVELS)


def test_without_answers_there_is_no_picture() -> None:
    assert draw_answers([]) == []
    assert draw_answers([block([b"\0"]), answered(control=[])]) == []


def test_what_is_said_has_two_digits_and_no_more() -> None:
    assert told(histogram([412_345] * 99 + [1_234_567])) == "median 0.41 · 99 % 0.41 · slowest 1.2 ms"
    assert told(histogram([0, 23_400_000, 2_345 * MS])) == "median 23 · 99 % 2,300 · slowest 2,300 ms"
    assert told(Histogram()) == "no answer"


def test_a_damaged_histogram_is_an_error_and_no_picture() -> None:
    damaged = structs.replace(block([b"\0"]), answers=(AnswerTimes(phase="fault", histogram=pack_i64(np.arange(3))),))
    with pytest.raises(ValueError, match="not a packed histogram"):
        draw_answers([damaged])
