"""Every probe near the fault is a dot in the picture, where it belongs; these tests know packed stamps and geometry, no page."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from reports.charts.closeup import BOTTOM, FLOWS, LEFT, RIGHT, TOP, Closeup, draw_closeups
from reports.charts.flows import flow_rows
from reports.charts.scale import View
from reports.evidence.near import Run, pack_near
from reports.evidence.schema import ANSWERED, CORRUPT, LATE, LOST, NOT_SENT, REFUSED, Flows, pack_u8
from tests.reports.charts.blocks import STEP, block
from tests.reports.test_packing import patient

MS = 1_000_000
EVENT = 20 * STEP
VIEW = View("near", "near", 10 * STEP, 60 * STEP, EVENT)


def cut(vantage: str = "eu", lost: tuple[int, ...] = (5,), took_ns: int = MS, moved: bool = True) -> Flows:
    """Flows of 60 probes that lose so many from the event on, all of whose stamps were kept; `b` answers afterwards."""
    states = [bytes([ANSWERED] * 20 + [LOST] * n + [ANSWERED] * (40 - n)) for n in lost]
    one = block(states, vantage=vantage, event_ns=EVENT)
    backends = b"".join(bytes([0] * 20 + [255] * n + [int(moved)] * (40 - n)) for n in lost)
    due = np.arange(60, dtype=np.int64) * STEP
    runs = [
        Run(
            flow=number,
            first=0,
            due=due,
            tx=due + 1000,
            rx=np.where(np.frombuffer(state, np.uint8) == LOST, 0, due + 1000 + took_ns),
            ttl=np.full(60, 61, np.uint8),
        )
        for number, state in enumerate(states)
    ]
    return structs.replace(one, backend=pack_u8(backends), near=pack_near(runs, 10**9))


def drawn(*blocks: Flows) -> list[Closeup]:
    return draw_closeups(blocks, flow_rows(blocks), VIEW)


def dots(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)[hv]", path)]


@patient
@given(lost=st.integers(1, 40), took=st.integers(1_000, 10**10), moved=st.booleans())
def test_every_probe_in_view_is_drawn_where_it_belongs(lost: int, took: int, moved: bool) -> None:
    (one,) = drawn(cut(lost=(lost,), took_ns=took, moved=moved))
    same, other, missed = dots(one.same), dots(one.other), dots(one.missed)
    assert one.probes == 50
    after = 60 - 20 - lost
    assert len(missed) == lost
    assert (len(same), len(other)) == ((10, after) if moved else (10 + after, 0))
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in same + other)
    assert max(x for x, _ in same[:10]) < min(x for x, _ in missed)


def test_a_vantage_has_a_picture_of_its_longest_outages_and_says_of_how_many() -> None:
    eu, us = drawn(cut("eu", lost=tuple(range(1, FLOWS + 4))), cut("us", took_ns=100 * MS))
    assert (eu.vantage, eu.flows, eu.of) == ("eu", FLOWS, FLOWS + 3)
    assert (us.vantage, us.flows, us.of) == ("us", 1, 1)
    assert eu.ys == us.ys, "one axis of times"
    assert dots(eu.same)[0][1] > dots(us.same)[0][1], "what takes longer is higher"
    assert len(dots(eu.missed)) == FLOWS + 3, "the longest outage is among them"


def test_without_an_outage_or_without_stamps_there_is_no_picture() -> None:
    assert drawn() == []
    assert drawn(cut(lost=(0,))) == []
    assert drawn(structs.replace(cut(), near=None)) == []


def test_what_the_harness_never_sent_is_no_loss() -> None:
    one = cut(lost=(5,))
    state = bytes([ANSWERED] * 20 + [LOST] * 5 + [NOT_SENT] * 5 + [ANSWERED] * 30)
    (picture,) = drawn(structs.replace(one, state=pack_u8(state)))
    assert len(dots(picture.missed)) == 5


@pytest.mark.parametrize("state", [LATE, CORRUPT, REFUSED])
def test_what_was_answered_too_late_or_by_something_else_is_drawn_as_missed(state: int) -> None:
    one = cut(lost=(5,))
    states = bytes([ANSWERED] * 20 + [LOST] * 5 + [state] * 5 + [ANSWERED] * 30)
    (picture,) = drawn(structs.replace(one, state=pack_u8(states)))
    assert len(dots(picture.missed)) == 10
    assert len(dots(picture.same)) + len(dots(picture.other)) == 40


def test_an_answer_that_names_nobody_is_not_said_to_be_anothers() -> None:
    one = cut(lost=(5,))
    (picture,) = drawn(structs.replace(one, backend=pack_u8(bytes([0] * 20 + [255] * 40))))
    assert picture.other == ""
    assert len(dots(picture.same)) == 45


def test_the_axis_of_times_ends_at_the_threshold() -> None:
    (picture,) = drawn(cut(took_ns=1_900 * MS))
    assert all(y > TOP for _, y in dots(picture.same)), "what took less is below the top"
    assert max(float(axis.text.replace(",", "")) for axis in picture.ys) == 1000


def test_stamps_that_do_not_fit_their_block_are_an_error() -> None:
    one = cut()
    assert one.near is not None
    broken = structs.replace(one, near=structs.replace(one.near, ttl=pack_u8(b"1")))
    with pytest.raises(ValueError, match="do not fit"):
        drawn(broken)
