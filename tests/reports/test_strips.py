"""What is drawn is what was measured: ink exactly where probes were lost, and never less.

These tests know states and geometry and no page.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reports.charts import strips as strips_module
from reports.charts.stretches import Stretch, bridged, impaired, stretches
from reports.charts.strips import FlowRow, draw_strips, flow_rows
from reports.evidence.schema import LOST, Flow, Flows, pack_u8

STEP = 10_000_000
states = st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 3, 4]), st.integers(1, 30)), max_size=30).map(
    lambda runs: b"".join(bytes([state]) * length for state, length in runs)
)
_SEGMENT = re.compile(r"([Mm])(-?[\d.]+) ([\d.]+)h([\d.]+)")


def segments(path: str) -> list[tuple[str, float, float]]:
    """Row, start and width of every stroke of a path."""
    found: list[tuple[str, float, float]] = []
    pen, row = 0.0, ""
    for move, x, y, width in _SEGMENT.findall(path):
        pen, row = (float(x), y) if move == "M" else (pen + float(x), row)
        found.append((row, pen, float(width)))
        pen += float(width)
    return found


def block(flows: Sequence[bytes], vantage: str = "eu") -> Flows:
    return Flows(
        vantage=vantage,
        service="echo",
        interval_ns=STEP,
        t0_ns=0,
        t1_ns=max([len(state) for state in flows], default=0) * STEP,
        event_ns=0,
        backends=("a", "b"),
        flows=tuple(
            Flow(id=n, src="10.0.0.1", sport=n, dst="::1", dport=7, touched=True, first_due_ns=0, count=len(state))
            for n, state in enumerate(flows)
        ),
        state=pack_u8(b"".join(flows)),
        backend=pack_u8(bytes(sum(map(len, flows)))),
    )


def painted(rows: Sequence[FlowRow], length: int, kind_of: dict[str, int]) -> list[bytearray]:
    """The states as they can be read off the drawing, one probe per unit of width."""
    drawn = draw_strips(rows, 0, length * STEP, lambda t: t / STEP, top=0)
    at = {f"{y:.2f}".rstrip("0").rstrip("."): n for n, y in enumerate(drawn.ys)}
    paper = [bytearray(length) for _ in rows]
    for kind, path in drawn.ink:
        for row, x, width in segments(path):
            start, size = round(x), round(width)
            paper[at[row]][start : start + size] = bytes([kind_of[kind]]) * size
    return paper


KIND_OF = {kind: state for state, kind in strips_module.KINDS.items()}


@given(states)
def test_stretches_hold_exactly_the_state(state: bytes) -> None:
    again = bytearray(len(state))
    found = stretches(state)
    for one in found:
        again[one.start : one.end] = bytes([one.state]) * one.length
    assert bytes(again) == state
    assert all(a.end < b.start or a.state != b.state for a, b in itertools.pairwise(found)), "not maximal"


@given(st.lists(states, min_size=1, max_size=6))
def test_the_drawing_from_the_packed_block_equals_the_state(flows: list[bytes]) -> None:
    rows = flow_rows([block(flows)])
    length = max(1, *map(len, flows), 1)
    for row, paper in zip(rows, painted(rows, length, KIND_OF), strict=True):
        state = flows[row.flow.id]
        assert bytes(paper[: len(state)]) == state
        assert not any(paper[len(state) :])


@given(states, st.integers(0, 50))
def test_bridging_only_adds_ink(state: bytes, gap: int) -> None:
    def lost(found: Sequence[Stretch]) -> set[int]:
        return {n for one in found if one.state == LOST for n in range(one.start, one.end)}

    assert lost(stretches(state)) <= lost(bridged(stretches(state), gap))


@given(st.lists(states, min_size=1, max_size=6))
def test_a_rows_outage_is_its_impaired_probes_over_its_rate(flows: list[bytes]) -> None:
    for row in flow_rows([block(flows)]):
        assert row.outage_ns == impaired(flows[row.flow.id]) * STEP


@given(st.lists(states, max_size=8))
def test_the_longest_outage_of_a_vantage_comes_first(flows: list[bytes]) -> None:
    lost = [row.lost for row in flow_rows([block(flows)])]
    assert lost == sorted(lost, reverse=True)


def test_ink_is_bounded_whatever_was_lost_and_says_how_it_was_joined() -> None:
    dice = random.Random(1)
    flows = [bytes(dice.choice((0, 1)) for _ in range(2000)) for _ in range(150)]
    rows = flow_rows([block(flows)])
    drawn = draw_strips(rows, 0, 2000 * STEP, lambda t: 856 * t / (2000 * STEP), top=0)
    assert sum(len(segments(path)) for _, path in drawn.ink) <= strips_module.MAX_INK
    assert drawn.bridged_ns > 0


def test_one_lost_probe_in_a_long_window_is_still_seen() -> None:
    rows = flow_rows([block([bytes(3000) + b"\1" + bytes(3000)])])
    drawn = draw_strips(rows, 0, 6001 * STEP, lambda t: 856 * t / (6001 * STEP), top=0)
    ((_, path),) = drawn.ink
    assert [width for _, _, width in segments(path)] == [1.0]


def test_what_lies_outside_the_view_is_not_drawn() -> None:
    rows = flow_rows([block([b"\1" * 10 + bytes(90) + b"\1" * 10])])
    drawn = draw_strips(rows, 20 * STEP, 90 * STEP, lambda t: t, top=0)
    assert drawn.ink == ()


def test_what_the_heal_cost_is_lost_but_no_part_of_the_black_hole() -> None:
    (row,) = flow_rows([block([b"\1" * 30 + bytes(50) + b"\1" * 5 + bytes(15)])], heal_ns=80 * STEP)
    assert (row.lost, row.outage_ns, row.episodes) == (35, 30 * STEP, 2)


def test_probes_that_were_not_sent_end_no_episode_and_are_not_lost() -> None:
    (row,) = flow_rows([block([bytes(5) + b"\1\1\4\4\1\3" + bytes(5) + b"\4\4" + bytes(5)])])
    assert (row.lost, row.unsent, row.episodes) == (4, 4, 1)


def test_a_flow_names_the_backends_before_and_after_the_fault() -> None:
    states_ = bytes(10)
    one = msgspec.structs.replace(
        block([states_]), event_ns=4 * STEP, backend=pack_u8([0, 0, 0, 255, 255, 255, 1, 1, 1, 255])
    )
    (row,) = flow_rows([one])
    assert (row.before, row.after) == ("a", "b")
