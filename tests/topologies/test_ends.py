"""Interfaces of any topology: indices that no two share, addresses that the names alone decide."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from topologies.linux.ends import FIRST_INDEX, ends_of, mac_of, pairs_of
from topologies.model import Endpoint, Link, Node, Topology
from topologies.reference.plan import network

_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True)


patient = settings(deadline=None)  # a busy host makes an example slow, not wrong


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Up to six nodes and twelve links, parallel ones too; some nodes without any."""
    names = draw(st.lists(_NAMES, min_size=2, max_size=6, unique=True))
    used = dict.fromkeys(names, 0)

    def end(name: str) -> Endpoint:
        used[name] += 1
        return Endpoint(name, f"eth{used[name]}")

    couples = draw(st.lists(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True), max_size=12))
    mtus = st.integers(68, 65535)
    links = tuple(Link((end(one), end(other)), draw(mtus)) for one, other in couples)
    nodes = {name: Node(name, "linux", "nospof/base:latest") for name in names}
    return Topology(draw(_NAMES), Path("lab.clab.yml"), "clab", nodes, links)


@patient
@given(topologies())
def test_no_two_ends_of_a_lab_share_an_index(topology: Topology) -> None:
    ends = ends_of(topology)
    indices = [end.index for end in chain.from_iterable(ends.values())]
    assert len(set(indices)) == len(indices) == 2 * len(topology.links)
    assert all(index >= FIRST_INDEX for index in indices)


@patient
@given(topologies())
def test_every_node_has_the_ends_that_its_links_give_it(topology: Topology) -> None:
    ends = ends_of(topology)
    assert list(ends) == list(topology.nodes)
    for name, found in ends.items():
        expected = [(link.end_at(name).interface, link.mtu) for link in topology.links_of(name)]
        assert [(end.interface, end.mtu) for end in found] == expected
        assert {end.node for end in found} <= {name}


@patient
@given(topologies())
def test_pairs_are_the_links_in_the_order_of_the_file(topology: Topology) -> None:
    found = [tuple(Endpoint(end.node, end.interface) for end in pair) for pair in pairs_of(ends_of(topology))]
    assert found == [link.endpoints for link in topology.links]


@patient
@given(topologies())
def test_indices_and_addresses_are_the_same_every_time(topology: Topology) -> None:
    assert ends_of(topology) == ends_of(topology)
    assert [end for pair in pairs_of(ends_of(topology)) for end in pair] == sorted(
        chain.from_iterable(ends_of(topology).values()), key=lambda end: end.index
    )


@patient
@given(_NAMES, _NAMES, _NAMES)
def test_a_mac_is_locally_administered_and_no_group(lab: str, node: str, interface: str) -> None:
    octets = bytes.fromhex(mac_of(lab, node, interface).replace(":", ""))
    assert len(octets) == 6
    assert octets[0] & 0b11 == 0b10
    assert mac_of(lab, node, interface) == mac_of(lab, node, interface)


@patient
@given(st.lists(st.tuples(_NAMES, _NAMES, _NAMES), min_size=2, max_size=2, unique=True))
def test_other_names_give_another_mac(names: list[tuple[str, str, str]]) -> None:
    one, other = names
    assert mac_of(*one) != mac_of(*other)


def test_the_references_macs_are_all_different() -> None:
    net = network("reference")
    macs = [mac_of(net.name, name, interface) for name in net.members for interface, _ in net.ends(name)]
    assert len(set(macs)) == len(macs) == 2 * len(net.wires)
