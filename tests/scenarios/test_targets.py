"""What is broken when nobody says: always somebody, always the same, where redundancy is least."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.catalogue import ENTRIES, Entry
from scenarios.targets import (
    default_link,
    default_node,
    default_region,
    named_link,
    named_node,
    named_region,
    ordered_links,
    ordered_nodes,
    ordered_regions,
    region_nodes,
)
from topologies.model import Endpoint, Link, Node, Topology
from topologies.problems import BadInput

Spec = tuple[str, str, str | None]


def topology(*nodes: Spec) -> Topology:
    """Nodes by name, role and region."""
    made = {}
    for name, role, region in nodes:
        labels = {"nospof.role": role} | ({"nospof.region": region} if region else {})
        made[name] = Node(name, "linux", "nospof/base:latest", labels=labels)
    return Topology("lab", Path("lab.clab.yml"), "clab", made, ())


LAB = topology(
    ("us-client", "client", "us"), ("us-edge", "edge", "us"), ("us-l4-1", "l4", "us"), ("us-l4-2", "l4", "us"),
    ("eu-transit", "transit", "eu"), ("eu-l4-9", "l4", "eu"), ("ap-client", "client", "ap"),
)  # fmt: skip


def test_the_default_node_is_where_the_fewest_have_its_role() -> None:
    assert default_node(LAB, "l4") == "eu-l4-9"


def test_among_equal_regions_the_first_by_name_is_taken_and_there_the_first_node() -> None:
    assert (
        default_node(topology(("b2", "l4", "b"), ("b1", "l4", "b"), ("a2", "l4", "a"), ("a1", "l4", "a")), "l4") == "a1"
    )


def test_nodes_without_a_region_are_a_region_of_their_own() -> None:
    assert default_node(topology(("x", "l4", None), ("a1", "l4", "a"), ("a2", "l4", "a")), "l4") == "x"


def test_a_role_that_nobody_has_is_bad_input_that_names_it() -> None:
    with pytest.raises(BadInput, match=r"nospof\.role: dns"):
        default_node(LAB, "dns")


def test_a_region_is_every_node_of_it_but_its_clients() -> None:
    assert set(region_nodes(LAB, "us")) == {"us-edge", "us-l4-1", "us-l4-2"}
    assert "eu-transit" in region_nodes(LAB, "eu")


@pytest.mark.parametrize("region", ["ap", "mars"])
def test_a_region_in_which_nothing_can_fail_is_bad_input(region: str) -> None:
    with pytest.raises(BadInput, match=region):
        region_nodes(LAB, region)


def test_the_default_region_has_the_fewest_nodes_that_can_fail_and_never_clients_only() -> None:
    assert default_region(LAB) == "eu"


def test_without_regions_there_is_no_default_one() -> None:
    with pytest.raises(BadInput, match=r"nospof\.region"):
        default_region(topology(("a", "l4", None), ("c", "client", None)))


NODES = st.lists(
    st.tuples(st.sampled_from(["l4", "l7", "edge", "client"]), st.sampled_from(["us", "eu", "ap", None])),
    min_size=1,
    max_size=12,
)


@given(kinds=NODES, order=st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_file(
    kinds: list[tuple[str, str | None]], order: Random
) -> None:
    nodes: list[Spec] = [(f"n{i:02}", role, region) for i, (role, region) in enumerate(kinds)]
    mixed = list(nodes)
    order.shuffle(mixed)

    def choices(lab: Topology) -> list[str]:
        found: list[str] = []
        chooses: list[Callable[[], str]] = [lambda: default_node(lab, "l4"), lambda: default_region(lab)]
        for choose in chooses:
            try:
                found.append(choose())
            except BadInput:
                found.append("bad input")
        return found

    assert choices(topology(*nodes)) == choices(topology(*mixed))


LINKED = Topology(
    "lab",
    Path("lab.clab.yml"),
    "clab",
    LAB.nodes,
    (
        Link((Endpoint("eu-transit", "eth1"), Endpoint("us-edge", "eth1"))),
        Link((Endpoint("us-edge", "eth2"), Endpoint("us-l4-1", "eth1"))),
    ),
)


def test_the_default_link_is_the_first_of_the_default_node() -> None:
    assert str(default_link(LINKED, "edge")) == "eu-transit:eth1–us-edge:eth1"
    with pytest.raises(BadInput, match="a link at eu-l4-9"):
        default_link(LINKED, "l4")


@pytest.mark.parametrize(
    "name", ["us-edge:eth2", "us-l4-1:eth1", "us-edge:eth2–us-l4-1:eth1", "us-l4-1:eth1-us-edge:eth2"]
)
def test_a_link_is_called_by_either_end_or_by_both(name: str) -> None:
    assert named_link(LINKED, name) == LINKED.links[1]


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(BadInput, match="us-edge:eth2–us-l4-1:eth1"):
        named_link(LINKED, "us-edge:eth9")
    with pytest.raises(BadInput, match="did you mean 'us-l4-1'"):
        named_node(LINKED, "us-l41")
    with pytest.raises(BadInput, match="one of ap, eu, us"):
        named_region(LINKED, "mars")


def test_every_node_follows_in_the_order_of_the_default() -> None:
    assert ordered_nodes(LAB, "l4") == ("eu-l4-9", "us-l4-1", "us-l4-2")
    assert ordered_nodes(LAB) == ("eu-l4-9", "eu-transit", "us-edge", "us-l4-1", "us-l4-2"), "clients never fail"
    assert ordered_regions(LAB) == ("eu", "us"), "and a region of clients only neither"


def test_links_are_those_of_the_nodes_in_their_order_each_once_and_never_between_two_clients() -> None:
    nodes = topology(("b", "edge", "one"), ("a", "edge", "one"), ("c1", "client", "one"), ("c2", "client", "one")).nodes
    ends = [("c1", "c2"), ("b", "c1"), ("b", "a")]
    links = tuple(Link((Endpoint(x, f"to-{y}"), Endpoint(y, f"to-{x}"))) for x, y in ends)
    lab = Topology("lab", Path("lab.clab.yml"), "clab", nodes, links)
    assert ordered_links(lab, "edge") == (links[2], links[1])


@given(kinds=NODES)
def test_the_default_is_the_first_of_the_order(kinds: list[tuple[str, str | None]]) -> None:
    lab = topology(*((f"n{i:02}", role, region) for i, (role, region) in enumerate(kinds)))
    for role in lab.roles():
        nodes = [node.name for node in lab.nodes_with_role(role)]
        if role != "client":
            assert default_node(lab, role) == ordered_nodes(lab, role)[0]
            assert sorted(ordered_nodes(lab, role)) == sorted(nodes)
    if regions := ordered_regions(lab):
        assert default_region(lab) == regions[0]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=str)
def test_every_scenario_has_its_test(entry: Entry) -> None:
    folder = Path(__file__).resolve().parents[2] / "scenarios"
    assert sum(f"def {entry.test}(" in path.read_text() for path in folder.glob("test_*.py")) == 1
