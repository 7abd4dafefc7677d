"""Distribution and raster hold every flow, no more and no less; these tests know states and what was packed of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reports.charts.ccdf import draw_ccdf, nice, survivors
from reports.charts.flows import flow_rows
from reports.charts.raster import pack_raster
from reports.evidence.schema import Died, Episode, Packet
from tests.reports.charts.blocks import STEP, block, states, view

MARKS, PACKETS = 10, 11


@given(st.lists(st.integers(0, 500), min_size=1, max_size=200))
def test_the_curve_is_the_share_of_flows_with_a_longer_outage(times: list[int]) -> None:
    for value, share in survivors(sorted(float(one) for one in times)):
        assert share == pytest.approx(sum(1 for one in times if one > value) / len(times))


@given(st.floats(1, 1e7))
def test_an_axis_ends_on_a_round_number_above_all(value: float) -> None:
    assert value <= nice(value) * (1 + 1e-9) <= value * 2 + 1e-6


def test_only_touched_flows_that_have_a_path_are_distributed() -> None:
    lost = b"\1" * 30 + bytes(30)
    assert draw_ccdf(flow_rows([block([lost], transport="tcp"), block([lost], touched=False)]), 300) is None
    assert draw_ccdf(flow_rows([block([bytes(60)])]), 300) is None
    drawn = draw_ccdf(flow_rows([block([lost]), block([lost], family=6), block([bytes(60)], "us")]), 300)
    assert drawn
    assert [curve.label for curve in drawn.curves] == ["eu · udp v4", "eu · udp v6", "us · udp v4"]
    assert drawn.budget_x is not None


@given(st.lists(states, min_size=1, max_size=6))
def test_the_raster_unpacks_to_the_state_of_every_flow(flows: list[bytes]) -> None:
    packed = pack_raster(flow_rows([block(flows)]), (), [view(10)], 0, 10**6, 10**6)
    if not any(any(state) for state in flows):
        assert packed.rows == 0
        return
    for row in packed.data["rows"]:
        state = bytearray(row[7])
        for start, length, kind in zip(*[iter(row[MARKS])] * 3, strict=True):
            state[start : start + length] = bytes([kind]) * length
        assert bytes(state) == flows[row[0]]
    assert sum(group[3] for group in packed.data["groups"]) == packed.rows == len(flows)


def test_ink_is_bounded_whatever_was_lost_and_says_how_it_was_joined() -> None:
    dice = random.Random(1)
    flows = [bytes(dice.choice((0, 1)) for _ in range(2000)) for _ in range(150)]
    packed = pack_raster(flow_rows([block(flows)]), (), [view(2000)], 0, 9000, 10)
    assert sum(len(row[MARKS]) for row in packed.data["rows"]) <= 3 * 9000
    assert packed.bridged_ns > 0


def test_a_vantage_that_lost_nothing_is_a_sentence() -> None:
    quiet = block([bytes(9)] * 3, "us", touched=False)
    packed = pack_raster(flow_rows([quiet, block([b"\1" * 9])]), (), [view(9)], 0, 100, 100)
    assert packed.quiet == ("us: 3 flows, 27 probes; none crossed the broken element, and not one probe was lost.",)
    assert [group[0] for group in packed.data["groups"]] == ["eu"]


def episode(flow: int, packets: int) -> Episode:
    return Episode(
        vantage="eu",
        service="echo",
        flow=flow,
        start_ns=0,
        lost=9,
        black_hole_ns=9 * STEP,
        censored=False,
        touched=True,
        packets=tuple(
            Packet(
                seq=n, due_ns=n * STEP, state=0, tx_ns=n * STEP + 5_000, rx_ns=n * STEP + 905_000, backend="b", ttl=60
            )
            for n in range(packets)
        ),
    )


def test_packets_keep_their_stamps_in_columns() -> None:
    packed = pack_raster(flow_rows([block([b"\1" * 9])]), [episode(0, 2)], [view(9)], STEP, 100, 100)
    assert packed.data["rows"][0][PACKETS] == [[0, 1], [-10_000, 0], [5, 5], [900, 900], [0, 0], [0, 0], [60, 60]]
    assert packed.data["backends"] == ["b"]


def test_a_flow_knows_its_ways_before_the_fault_and_after_it() -> None:
    plain = block([b"\1" * 9, b"\1" * 9])
    ways = (("eu", "edge-1", "l4-1"), ("eu", "edge-2", "l4-1"))
    flows = (replace(plain.flows[0], way_before=0, way_after=1), replace(plain.flows[1], way_after=7))
    packed = pack_raster(flow_rows([replace(plain, flows=flows, ways=ways)]), (), [view(9)], 0, 100, 100)
    assert packed.data["ways"] == ["edge-1 › l4-1", "edge-2 › l4-1"]
    assert [row[PACKETS + 1 : PACKETS + 3] for row in packed.data["rows"]] == [[0, 1], [-1, -1]]


def test_a_flow_says_where_its_probes_died_once_per_cause() -> None:
    plain = block([b"\1" * 9, b"\0" * 9])
    first = Died(node="l7", reason="NO_SOCKET", source="kernel", lost=4, words="no socket at that port")
    cut = Died(node="edge", reason="link cut", source="cut", lost=2, toward="l4", interface="eth2")
    some = [replace(episode(0, 4), died=(first,)), replace(episode(0, 6), died=(cut, replace(first, lost=1)))]
    packed = pack_raster(flow_rows([plain]), some, [view(9)], 0, 100, 100)
    assert packed.data["died"] == ["died at l7: no socket at that port (5); edge eth2 → l4: link cut (2)"]
    assert [row[PACKETS + 3] for row in packed.data["rows"]] == [0, -1]


def test_flows_beyond_the_limit_lose_their_stamps_and_are_counted() -> None:
    rows = flow_rows([block([b"\1" * 9, b"\1" * 8])])
    packed = pack_raster(rows, [episode(0, 6), episode(1, 6)], [view(9)], 0, 100, 10)
    assert [bool(row[PACKETS]) for row in packed.data["rows"]] == [True, False]
    assert packed.packets_left_out == 1
