"""Ink where probes were lost, as deep as the share, and never nothing; these tests know states and geometry, no page."""

from __future__ import annotations

import math
import random
import re

from hypothesis import given
from hypothesis import strategies as st

from reports.charts.flows import flow_rows
from reports.charts.rate import draw_rates
from reports.charts.scale import View, ticks
from reports.charts.stretches import impaired
from reports.charts.strips import LEVELS, depths, draw_strips, first_cell_ns
from tests.reports.charts.blocks import STEP, block, states, view


@given(st.lists(states, min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 30))
def test_a_cell_is_as_deep_as_the_share_that_was_lost_in_it(flows: list[bytes], size: int, start: int) -> None:
    probes = max(1, *map(len, flows), 1)
    found = depths(flow_rows([block(flows)]), view(probes, start), size * STEP)
    for n, depth in enumerate(found):
        cells = [state[start + n * size : start + (n + 1) * size] for state in flows]
        due, lost = sum(map(len, cells)), sum(map(impaired, cells))
        assert depth == (math.ceil(LEVELS * lost / due) if lost else 0)
        assert (depth > 0) == (lost > 0), "a loss is never drawn as nothing"


def test_one_lost_probe_of_many_flows_in_a_long_window_is_still_seen() -> None:
    quiet = [bytes(6001)] * 50
    drawn = draw_strips(flow_rows([block([bytes(3000) + b"\1" + bytes(3000), *quiet])]), view(6001), top=0)
    ((level, path),) = drawn.strips[0].ink
    width = re.search(r"h([\d.]+)", path)
    assert level == 1
    assert width
    assert float(width[1]) >= 1


def test_total_loss_is_the_deepest_ink_from_end_to_end() -> None:
    drawn = draw_strips(flow_rows([block([b"\1" * 100] * 3)]), view(100), top=0)
    (strip,) = drawn.strips
    assert strip.ink == ((LEVELS, "M0 6h100"),)


def test_a_vantage_where_nothing_happened_is_one_strip_and_others_have_one_per_kind() -> None:
    rows = flow_rows(
        [
            block([bytes(9)], "quiet", touched=False),
            block([bytes(9)], "quiet", "tcp", touched=False),
            block([bytes(9)], "hit"),
            block([bytes(9)], "hit", "udp", 6),
        ]
    )
    labels = [strip.label for strip in draw_strips(rows, view(9), top=0).strips]
    assert labels == ["quiet · 2 flows", "hit · udp v4", "hit · udp v6"]


def test_what_the_harness_did_not_send_is_marked_and_is_no_loss() -> None:
    (strip,) = draw_strips(flow_rows([block([bytes(3) + b"\4" * 2 + bytes(5)])]), view(10), top=0).strips
    assert strip.ink == ()
    assert strip.unsent == "M3 10.5h2"


@given(st.integers(1, 9), st.integers(0, 60), st.integers(0, 60))
def test_no_loss_is_drawn_before_the_fault_that_caused_it(cell: int, before: int, lost: int) -> None:
    axis = View("x", "x", 0, 200 * STEP, before * STEP, 0.0, 200.0)
    levels = depths(flow_rows([block([bytes(before) + b"\1" * lost + bytes(200 - before - lost)])]), axis, cell * STEP)
    first = first_cell_ns(axis, cell * STEP)
    assert first <= 0
    assert all((first + n * cell * STEP) >= before * STEP for n, level in enumerate(levels) if level)


def test_ink_is_bounded_whatever_was_lost() -> None:
    dice = random.Random(1)
    flows = [bytes(dice.choice((0, 1)) for _ in range(2000)) for _ in range(50)]
    drawn = draw_strips(flow_rows([block(flows)]), view(2000), top=0)
    assert sum(path.count("h") for _, path in drawn.strips[0].ink) <= 420


def test_a_black_hole_is_ink_in_the_rate_and_never_a_gap() -> None:
    state = bytes(20) + b"\1" * 10 + bytes(30)
    (rate,) = draw_rates(flow_rows([block([state] * 4)]), view(60))
    assert rate.missing
    assert (rate.top_text, rate.lowest) == ("400", "0")


def test_new_connections_are_no_part_of_the_rate() -> None:
    rates = draw_rates(flow_rows([block([b"\1" * 9], "a", "tcp"), block([bytes(9)], "a")]), view(9))
    assert [rate.missing for rate in rates] == [""]


@given(st.integers(1, 10**11), st.integers(0, 10**11))
def test_instants_of_an_axis_are_few_and_the_fault_is_among_them(length: int, before: int) -> None:
    axis = View("x", "x", -before, length, 0)
    found = ticks(axis)
    assert len(found) <= 14
    assert sum(1 for tick in found if tick.zero) == 1
    assert [tick.x for tick in found] == sorted(tick.x for tick in found)
