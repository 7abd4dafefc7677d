"""Next hops of a VIP from a snapshot's lines: the most specific route, every way of it, and no default."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scenarios.next_hops import holds, next_hops

V4, V6 = "203.0.113.10", "2001:db8:f::10"


def route(to: str, length: int, *hops: int, table: int = 254) -> str:
    return f"route {to}/{length} table {table} {' '.join(f'dev {hop}' for hop in hops)}"


def test_every_way_of_the_route_is_one() -> None:
    assert next_hops([route("203.0.113.10", 32, 3, 4)], [V4]) == {V4: (3, 4)}


def test_the_most_specific_route_is_taken_in_whatever_order_they_come() -> None:
    lines = [route("203.0.113.0", 24, 2), route("203.0.113.10", 32, 3, 4), route("203.0.0.0", 16, 5)]
    for order in (lines, lines[::-1]):
        assert next_hops(order, [V4]) == {V4: (3, 4)}


def test_a_default_route_is_none_and_neither_is_one_elsewhere() -> None:
    lines = [route("default", 0, 2), route("203.0.112.0", 24, 3), route("2001:db8:f::", 48, 4)]
    assert next_hops(lines, [V4]) == {}


def test_ipv6_is_told_apart_from_ipv4() -> None:
    lines = [route("2001:db8:f::", 48, 4), route("2001:db8:f::10", 128, 5, 6), route("203.0.113.0", 24, 2)]
    assert next_hops(lines, [V4, V6]) == {V4: (2,), V6: (5, 6)}


def test_two_routes_of_the_same_length_are_ways_together() -> None:
    """IPv6 may list each way of a route by itself."""
    assert next_hops([route("2001:db8:f::10", 128, 5), route("2001:db8:f::10", 128, 6)], [V6]) == {V6: (5, 6)}


def test_what_is_no_route_is_passed_over() -> None:
    lines = ["address 2 203.0.113.10/32", "neighbour 2 10.0.2.1", "route nonsense/24 table 254 dev 2", ""]
    assert next_hops(lines, [V4]) == {}


def test_several_next_hops_behind_one_interface_are_as_many() -> None:
    """Behind a switch every L4 node is a next hop of its own."""
    assert next_hops([route("203.0.113.10", 32, 3, 3, 4)], [V4]) == {V4: (3, 3, 4)}


@given(st.permutations([route("203.0.113.0", 24, 2), route("203.0.113.10", 32, 3), route("203.0.113.10", 32, 4), "x"]))
def test_the_order_of_lines_never_matters(lines: list[str]) -> None:
    assert next_hops(lines, [V4]) == {V4: (3, 4)}


def test_a_node_holds_an_address_that_one_of_its_interfaces_has() -> None:
    lines = ["address 2 203.0.113.10/32", "address 3 10.0.0.1/24", route("203.0.113.20", 32, 2)]
    assert holds(lines, V4)
    assert holds(lines, "10.0.0.1")
    assert not holds(lines, "203.0.113.20"), "a route to it is not the address"
    assert not holds(lines, "10.0.0.11")
