"""A link is a wire between two different nodes of the lab, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topologies.files import GOOD, only, problems_of_topology, written
from topologies.model import Link
from topologies.problems import Problem
from topologies.source import load_topology

_LINK = "    - endpoints: [a:eth1, b:eth1]\n"


def _links(directory: Path, text: str) -> tuple[Link, ...]:
    return load_topology(written(directory, GOOD.replace(_LINK, text))).links


def _problem(directory: Path, text: str) -> Problem:
    return only(problems_of_topology(directory, GOOD.replace(_LINK, text)))


def test_both_notations_say_the_same(tmp_path: Path) -> None:
    typed = "    - {type: veth, mtu: 1500, endpoints: [{node: a, interface: e1}, {node: b, interface: e1}]}\n"
    assert _links(tmp_path, "    - {mtu: 1500, endpoints: [a:e1, b:e1]}\n") == _links(tmp_path, typed)


def test_labels_and_mtu_are_kept(tmp_path: Path) -> None:
    (link,) = _links(tmp_path, "    - {mtu: 1600, labels: {rank: 1}, endpoints: [a:e1, b:e1]}\n")
    assert (link.mtu, link.labels) == (1600, {"rank": "1"})


def test_a_link_to_a_missing_node_is_named_with_its_line(tmp_path: Path) -> None:
    problem = _problem(tmp_path, _LINK + "    - endpoints:\n        - a:eth2\n        - zone:eth2\n")
    assert (problem.line, problem.found) == (11, "node 'zone', which does not exist")
    assert problem.expected == "a node of this topology, one of a, b"


def test_a_duplicate_endpoint_is_named_with_the_line_of_the_first(tmp_path: Path) -> None:
    problem = _problem(tmp_path, _LINK + "    - endpoints: [a:eth1, b:eth2]\n")
    assert (problem.line, problem.found) == (9, "endpoint 'a:eth1' again, first on line 8")


def test_a_duplicate_on_one_line_is_a_duplicate_too(tmp_path: Path) -> None:
    problem = _problem(tmp_path, "    [{endpoints: [a:e1, b:e1]}, {endpoints: [a:e2, b:e1]}]\n")
    assert problem.found == "endpoint 'b:e1' again, first on line 8"


def test_a_link_from_a_node_to_itself_is_refused(tmp_path: Path) -> None:
    assert _problem(tmp_path, "    - endpoints: [a:e1, a:e2]\n").found == "a link from 'a' to itself"


@pytest.mark.parametrize("pseudo", ["host", "mgmt-net", "macvlan"])
def test_a_door_out_of_the_lab_is_refused_by_name(tmp_path: Path, pseudo: str) -> None:
    assert "a lab is closed" in _problem(tmp_path, f"    - endpoints: [a:e1, {pseudo}:e1]\n").expected


@pytest.mark.parametrize("name", ["e" * 16, "a/b", "'a b'", "lo", "..", "é"])
def test_an_interface_that_linux_would_refuse_is_refused(tmp_path: Path, name: str) -> None:
    text = f"    - {{type: veth, endpoints: [{{node: a, interface: {name}}}, {{node: b, interface: e1}}]}}\n"
    assert _problem(tmp_path, text).found.startswith("interface ")


def test_fifteen_characters_are_an_interface_and_so_is_eth0(tmp_path: Path) -> None:
    (link,) = _links(tmp_path, f"    - endpoints: [a:{'e' * 15}, b:eth0]\n")
    assert [end.interface for end in link.endpoints] == ["e" * 15, "eth0"]


@pytest.mark.parametrize("mtu", ["0", "67", "65536", "-1", "1500.5", "'1500'", "010", "1:30", "many", "[]", "9" * 5000])
def test_an_mtu_that_is_none_is_refused(tmp_path: Path, mtu: str) -> None:
    assert _problem(tmp_path, f"    - {{mtu: {mtu}, endpoints: [a:e1, b:e1]}}\n").expected.startswith("bytes, 68–65535")


@pytest.mark.parametrize("kind", ["host", "mgmt-net", "dummy", "vxlan"])
def test_another_type_of_containerlab_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    problem = _problem(tmp_path, f"    - {{type: {kind}, endpoints: [a:e1, b:e1]}}\n")
    assert (problem.field, problem.found) == ("topology.links[0].type", repr(kind))
    assert "known to containerlab" in problem.expected


@pytest.mark.parametrize(
    ("link", "field"),
    [
        ("{}", "endpoints"),
        ("{endpoints: [a:e1]}", "endpoints"),
        ("{endpoints: []}", "endpoints"),
        ("{endpoints: [a:e1, b:e1, a:e2]}", "endpoints"),
        ("{endpoints: a:e1}", "endpoints"),
        ("{endpoints: [a, b:e1]}", "endpoints[0]"),
        ("{endpoints: [a:, b:e1]}", "endpoints[0]"),
        ("{endpoints: [{node: a, interface: e1}, b:e1]}", "endpoints[0]"),
        ("{type: veth, endpoints: [{node: a, interface: e1}, b:e1]}", "endpoints[1]"),
        ("{type: veth, endpoints: [{node: a}, {node: b, interface: e1}]}", "endpoints[0].interface"),
        ("{type: veth, endpoints: [{node: a, interface: e1, mac: x}, {node: b, interface: e1}]}", "endpoints[0].mac"),
        ("{type: vet, endpoints: [a:e1, b:e1]}", "type"),
        ("{vars: {}, endpoints: [a:e1, b:e1]}", "vars"),
        ("{labels: [], endpoints: [a:e1, b:e1]}", "labels"),
    ],
)
def test_a_link_of_the_wrong_shape_is_refused_where_it_is_wrong(tmp_path: Path, link: str, field: str) -> None:
    assert _problem(tmp_path, f"    - {link}\n").field == f"topology.links[0].{field}"
