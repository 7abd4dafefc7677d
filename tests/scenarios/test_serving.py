"""Whether a stack serves as before: no router has fewer ways to a VIP than it had, and every process runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.serving import Baseline, baseline, lacking, moved

VIP, OTHER = "203.0.113.10", "203.0.113.20"
HELD = frozenset({f"address 1 {VIP}/32"})


def ways(*hops: int, vip: str = VIP) -> frozenset[str]:
    if not hops:
        return frozenset()
    return frozenset({f"route {vip}/32 table 254 {' '.join(f'dev {hop}' for hop in hops)}"})


def before(*looks: dict[str, frozenset[str]], forwarding: tuple[str, ...] = ("edge",), **processes: str) -> Baseline:
    return baseline(looks, forwarding, [VIP, OTHER], {node: frozenset({name}) for node, name in processes.items()})


# -- next hops -----------------------------------------------------------------------------------------------------


def test_a_router_with_fewer_ways_lacks_some_and_is_named() -> None:
    found = before({"edge": ways(2, 3)})
    assert lacking(found, "edge", ways(2, 3), ()) == ""
    assert lacking(found, "edge", ways(2, 3, 4), ()) == ""
    assert lacking(found, "edge", ways(4, 5), ()) == "", "as many over other links are as good"
    assert lacking(found, "edge", ways(2), ()) == f"edge has 1 of 2 ways to {VIP}"
    assert lacking(found, "edge", ways(), ()) == f"edge has 0 of 2 ways to {VIP}"


def test_several_next_hops_behind_one_interface_are_counted_each() -> None:
    found = before({"edge": ways(2, 2)})
    assert lacking(found, "edge", ways(2), ()) == f"edge has 1 of 2 ways to {VIP}"


def test_it_is_held_against_the_fewest_that_were_seen() -> None:
    """Routes that came and went in the first control window are no promise."""
    found = before({"edge": ways(2, 3)}, {"edge": ways(2)})
    assert lacking(found, "edge", ways(3), ()) == ""
    assert lacking(found, "edge", ways(), ()) == f"edge has 0 of 1 way to {VIP}"


def test_a_router_that_had_none_in_one_look_owes_none() -> None:
    assert lacking(before({"edge": ways(2)}, {"edge": ways()}), "edge", ways(), ()) == ""


def test_who_forwarded_nothing_owes_nothing() -> None:
    assert lacking(before({"edge": ways(2, 3)}, forwarding=()), "edge", ways(), ()) == ""


def test_another_nodes_ways_are_not_asked_of_this_one() -> None:
    found = before({"edge": ways(2, 3), "transit": ways(2)}, forwarding=("edge", "transit"))
    assert lacking(found, "transit", ways(2), ()) == ""


# -- an address that moves -----------------------------------------------------------------------------------------


def test_an_address_that_moved_is_legal_for_who_had_it_and_for_who_has_it() -> None:
    """VRRP without preemption: the one that held it has a route now, or none; the other holds it and needs none."""
    found = before({"master": HELD, "backup": ways(2)}, forwarding=("master", "backup"))
    assert lacking(found, "backup", HELD, ()) == ""
    assert lacking(found, "master", ways(), ()) == ""
    assert lacking(found, "master", ways(2), ()) == ""
    assert lacking(found, "backup", ways(), ()) == f"backup has 0 of 1 way to {VIP}", "neither holds it nor reaches it"


def test_who_held_the_address_in_any_look_is_not_counted() -> None:
    found = before({"master": ways(2)}, {"master": HELD | ways(2)}, forwarding=("master",))
    assert lacking(found, "master", ways(), ()) == ""


def test_where_an_address_went_is_told() -> None:
    found = before({"master": HELD, "backup": frozenset()})
    now = {"master": frozenset[str](), "backup": HELD}
    assert moved(found, now, [VIP, OTHER]) == [f"{VIP} is at backup now; it was at master."]
    assert moved(found, {"master": HELD, "backup": frozenset()}, [VIP]) == []


def test_an_address_that_only_went_away_has_not_moved() -> None:
    found = before({"a": HELD, "b": HELD})
    assert moved(found, {"a": HELD, "b": frozenset()}, [VIP]) == []
    assert moved(before({"a": frozenset()}), {"a": HELD}, [VIP]) == [], "nobody held it then"


@given(
    nodes=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=2, unique=True),
    hops=st.lists(st.integers(2, 5), min_size=1, max_size=3),
)
def test_an_address_that_moves_answers_and_next_hops_alike_changes_nothing(nodes: list[str], hops: list[int]) -> None:
    """Among any nodes that forward it: who has it now reaches it at no hop, who had it as the others did, or not at all."""
    had, has, *_ = nodes
    then = {node: HELD if node == had else ways(*hops) for node in nodes}
    now = {node: HELD if node == has else ways(*hops) for node in nodes}
    found = before(then, forwarding=tuple(nodes))
    assert [lacking(found, node, now[node], ()) for node in nodes] == [""] * len(nodes)
    assert moved(found, now, [VIP, OTHER]) == [f"{VIP} is at {has} now; it was at {had}."]


# -- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["envoy", "l4agent", "a-process-of-a-very-long-name"])
def test_a_process_that_does_not_run_any_more_is_named(name: str) -> None:
    found = before({"l7": frozenset()}, l7=name)
    assert lacking(found, "l7", frozenset(), {name[:15], "sh"}) == "", "the kernel keeps 15 bytes of a name"
    assert lacking(found, "l7", frozenset(), {name, "sh"}) == "", "and a contract has all of it"
    assert lacking(found, "l7", frozenset(), {"sh"}) == f"{name} does not run in l7"
    assert lacking(found, "edge", frozenset(), set()) == "", "nobody promised it elsewhere"


def test_a_process_that_did_not_run_then_is_not_asked_for() -> None:
    assert lacking(before({"l7": frozenset()}), "l7", frozenset(), set()) == ""


# -- properties ----------------------------------------------------------------------------------------------------


hops = st.lists(st.integers(2, 6), max_size=4)


@given(looks=st.lists(hops, min_size=1, max_size=4), now=hops, more=hops)
def test_more_ways_never_lack_more_and_a_look_as_in_the_window_lacks_nothing(
    looks: list[list[int]], now: list[int], more: list[int]
) -> None:
    found = before(*({"edge": ways(*look)} for look in looks))
    for look in looks:
        assert lacking(found, "edge", ways(*look), ()) == ""
    if lacking(found, "edge", ways(*now), ()) == "":
        assert lacking(found, "edge", ways(*now, *more), ()) == ""
