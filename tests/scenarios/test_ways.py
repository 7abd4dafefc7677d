"""Ways of flows: counted as taps saw them, and during a fault followed only as far as they still came."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scenarios.ways import routes, ways
from topologies.linux.wire import Flow, Seen
from topologies.linux.wired import Crossing
from topologies.model import Endpoint, Link

ONE, OTHER = Flow("10.0.0.1", 1, "203.0.113.20", 7, 17), Flow("10.0.0.1", 2, "203.0.113.20", 7, 17)
STRAY = Flow("10.9.9.9", 9, "203.0.113.20", 7, 17)
VANTAGES = {ONE: "client", OTHER: "client"}
Hop = tuple[str, str, int]


def chain(flow: Flow, *nodes: str) -> list[Crossing]:
    return [Crossing(a, b, f"to-{b}", flow, Seen(1, 2)) for a, b in itertools.pairwise(nodes)]


BEFORE = [
    *chain(ONE, "client", "edge", "l4-1", "l7"),
    *chain(OTHER, "client", "edge", "l4-2", "l7"),
    *chain(ONE.reversed(), "l7", "edge", "client"),
    *chain(STRAY, "client", "edge"),
]


def at(
    moment: str, *, failed: tuple[str, ...] = (), cut: tuple[Link, ...] = (), after: tuple[Crossing, ...] = ()
) -> set[Hop]:
    found = ways(VANTAGES, {ONE}, BEFORE, after, failed, cut)
    assert {p.vantage for p in found} == {"client"}
    return {(p.a, p.b, p.flows) for p in found if p.moment == moment}


def test_before_counts_flows_and_their_answers_per_hop_and_nobody_elses() -> None:
    assert at("before") == {
        ("client", "edge", 2), ("edge", "l4-1", 1), ("l4-1", "l7", 1), ("edge", "l4-2", 1), ("l4-2", "l7", 1),
        ("l7", "edge", 1), ("edge", "client", 1),
    }  # fmt: skip


def test_during_follows_touched_flows_into_the_failed_node_and_no_further() -> None:
    assert at("during", failed=("l4-1",)) == {("client", "edge", 1), ("edge", "l4-1", 1)}


def test_during_follows_touched_flows_over_the_cut_link_and_no_further() -> None:
    link = Link((Endpoint("edge", "to-client"), Endpoint("client", "to-edge")))
    assert at("during", cut=(link,)) == {("client", "edge", 1)}


def test_a_way_that_ends_nowhere_or_goes_round_ends_the_following() -> None:
    loop = [*chain(ONE, "client", "a", "b", "a"), *chain(ONE, "b", "client")]
    found = ways(VANTAGES, {ONE}, loop, (), ("elsewhere",), ())
    assert {(p.a, p.b) for p in found if p.moment == "during"} <= {(c.sender, c.receiver) for c in loop}


def test_after_is_what_was_seen_after() -> None:
    assert at("after", after=tuple(chain(ONE, "client", "edge", "l4-2"))) == {
        ("client", "edge", 1),
        ("edge", "l4-2", 1),
    }


def test_a_route_is_the_nodes_in_order_though_it_passes_one_of_them_twice() -> None:
    way = ("client", "transit", "edge", "l4", "edge", "a-l7")
    seen = chain(ONE, *way)
    for order in (seen, seen[::-1]):
        assert routes(
            VANTAGES, [*order, *chain(ONE.reversed(), "a-l7", "edge", "client"), *chain(STRAY, "x", "y")]
        ) == {ONE: way}


@given(st.lists(st.sampled_from("abcdef"), max_size=9))
def test_every_way_without_a_hop_taken_twice_is_a_route_over_all_its_hops(nodes: list[str]) -> None:
    way = ["client", *(node for node, after in itertools.pairwise([*nodes, ""]) if node != after)]
    hops = list(itertools.pairwise(way))
    assume(hops and len(set(hops)) == len(hops))
    found = routes(VANTAGES, chain(ONE, *way))[ONE]
    assert found[0] == "client"
    assert sorted(itertools.pairwise(found)) == sorted(hops)


@pytest.mark.parametrize(
    "seen",
    [
        [],
        chain(ONE, "edge", "l4"),
        [*chain(ONE, "client", "edge", "l4-1", "l7"), *chain(ONE, "edge", "l4-2", "l7")],
        chain(ONE, "client", *map(str, range(40))),
    ],
    ids=["nothing", "not from its vantage", "two ways", "too many hops"],
)
def test_what_makes_no_single_way_is_no_route(seen: list[Crossing]) -> None:
    assert routes(VANTAGES, seen) == {}
