"""What a row says of its flow is what its probes say; these tests know states and rows, and no drawing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reports.charts.flows import flow_rows
from reports.charts.stretches import Stretch, bridged, impaired, stretches
from reports.evidence.schema import LOST, NOT_SENT, pack_u8
from tests.reports.charts.blocks import STEP, block, states


@given(states)
def test_stretches_hold_exactly_the_state(state: bytes) -> None:
    again = bytearray(len(state))
    found = stretches(state)
    for one in found:
        again[one.start : one.end] = bytes([one.state]) * one.length
    assert bytes(again) == state
    assert all(a.end < b.start or a.state != b.state for a, b in itertools.pairwise(found)), "not maximal"


@given(states, st.integers(0, 50))
def test_bridging_only_adds_ink(state: bytes, gap: int) -> None:
    def lost(found: Sequence[Stretch]) -> set[int]:
        return {n for one in found if one.state == LOST for n in range(one.start, one.end)}

    assert lost(stretches(state)) <= lost(bridged(stretches(state), gap))


@given(states)
def test_whatever_was_not_answered_is_impaired_unless_the_harness_did_not_send_it(state: bytes) -> None:
    assert impaired(state) == sum(1 for one in state if one not in {0, NOT_SENT})


@given(st.lists(states, min_size=1, max_size=6))
def test_a_rows_outage_is_its_impaired_probes_over_its_rate(flows: list[bytes]) -> None:
    for row in flow_rows([block(flows)]):
        assert row.outage_ns == impaired(flows[row.flow.id]) * STEP


@given(st.lists(states, max_size=8))
def test_the_longest_outage_of_a_vantage_comes_first(flows: list[bytes]) -> None:
    lost = [row.lost for row in flow_rows([block(flows)])]
    assert lost == sorted(lost, reverse=True)


def test_kinds_stay_together_vantages_in_their_order_and_what_has_a_path_first() -> None:
    quiet = [bytes(5)]
    rows = flow_rows(
        [
            block(quiet, "b", "tcp"),
            block(quiet, "a", "udp"),
            block(quiet, "b", "udp", 6),
            block(quiet, "a", "icmp"),
            block(quiet, "a", "udp"),
        ]
    )
    assert [f"{row.vantage} {row.kind.label}" for row in rows] == [
        *("b udp v6", "b new tcp v4"),
        *("a udp v4", "a udp v4", "a icmp v4"),
    ]
    assert [row.kind.routed for row in rows] == [True, False, True, True, True]


def test_what_the_heal_cost_is_lost_but_no_part_of_the_black_hole() -> None:
    (row,) = flow_rows([block([b"\1" * 30 + bytes(50) + b"\1" * 5 + bytes(15)])], heal_ns=80 * STEP)
    assert (row.lost, row.outage_ns, row.episodes) == (35, 30 * STEP, 2)


def test_the_longest_outage_of_a_fault_is_none_that_the_heal_began() -> None:
    (row,) = flow_rows([block([b"\1" * 3 + bytes(50) + b"\1" * 9 + bytes(15)])], heal_ns=50 * STEP)
    assert row.longest_end_ns == 3 * STEP


def test_probes_that_were_not_sent_end_no_episode_and_are_not_lost() -> None:
    (row,) = flow_rows([block([bytes(5) + b"\1\1\4\4\1\3" + bytes(5) + b"\4\4" + bytes(5)])])
    assert (row.lost, row.unsent, row.episodes) == (4, 4, 1)


def test_a_flow_names_the_backends_before_and_after_the_fault() -> None:
    one = msgspec.structs.replace(
        block([bytes(10)]), event_ns=4 * STEP, backend=pack_u8([0, 0, 0, 255, 255, 255, 1, 1, 1, 255])
    )
    (row,) = flow_rows([one])
    assert (row.before, row.after) == ("a", "b")
