"""The parts of a packet's way add up to it, are named after roles, and end where the stamps no longer fit together."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from probes.hops import Passage, hop_times, parts

NODES = ["c", "t", "e", "s"]
ROLES = {"c": "client", "t": "transit", "e": "edge", "s": "l7"}


def _way(gaps: list[int]) -> list[Passage]:
    """c → t → e → s and back, a stamp at both ends of each link, so far apart."""
    found: list[Passage] = []
    out = [*itertools.pairwise(NODES)]
    legs = [(a, b, False) for a, b in out] + [(b, a, True) for a, b in reversed(out)]
    t = 1000
    for n, (a, b, answer) in enumerate(legs):
        for node, beyond, leaving, gap in ((a, b, True, gaps[2 * n]), (b, a, False, gaps[2 * n + 1])):
            t += gap
            found.append(Passage(t, node, beyond, leaving, answer))
    return found


@given(st.lists(st.integers(1, 1000), min_size=12, max_size=12), st.randoms())
def test_parts_follow_each_other_and_add_up(gaps: list[int], order: random.Random) -> None:
    way = _way(gaps)
    order.shuffle(way)
    found = parts(way, ROLES)
    assert [label for label, *_ in found] == [
        "client → transit",
        "transit",
        "transit → edge",
        "edge",
        "edge → l7",
        "l7 answers",
        "l7 → edge, back",
        "edge, back",
        "edge → transit, back",
        "transit, back",
        "transit → client, back",
    ]
    assert sum(ns for *_, ns in found) == sum(gaps[1:])
    assert all(at == sum(gaps[1 : n + 1]) for n, (_, _, at, _) in enumerate(found))


@given(st.integers(1, 10))
def test_a_missing_stamp_ends_the_way_and_nothing_is_guessed(missing: int) -> None:
    way = _way([10] * 12)
    del way[missing]
    found = parts(way, ROLES)
    assert len(found) <= 10
    assert all(ns == 10 for *_, ns in found)


def test_a_node_whose_program_comes_before_its_hooks_is_one_part_with_both_its_links() -> None:
    passed = [Passage(100, "e", "l", True, False), Passage(150, "f", "l", False, False)]
    assert parts(passed, {"e": "edge", "f": "edge", "l": "l4"}) == [("edge → l4 → edge", "program", 0, 50)]


@given(st.lists(st.lists(st.integers(1, 1000), min_size=12, max_size=12), min_size=1, max_size=20))
def test_times_of_many_packets_keep_the_order_of_the_way(all_gaps: list[list[int]]) -> None:
    found = hop_times([parts(_way(gaps), ROLES) for gaps in all_gaps])
    assert [h.label for h in found][:1] == ["client → transit"]
    assert all(h.n == len(all_gaps) and h.p50_ns <= h.p99_ns <= h.max_ns for h in found)
    assert [h.at_ns for h in found] == sorted(h.at_ns for h in found)


def test_a_part_that_comes_twice_is_numbered() -> None:
    way = [("edge", "node", 0, 5), ("edge → l4 → edge", "program", 5, 9), ("edge", "node", 14, 6)]
    assert [h.label for h in hop_times([way])] == ["edge", "edge → l4 → edge", "edge (2)"]  # type: ignore[list-item]
