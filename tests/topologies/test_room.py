"""A lab larger than the wires' maps is refused before anything is made, with how large it is and how large it may be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.topologies.files import written
from topologies.linux import room
from topologies.linux.ends import ends_of
from topologies.linux.mgmt import mgmt_pairs
from topologies.linux.room import MOST_ENDS, MOST_NODES, MOST_NUMBERS, refuse_larger
from topologies.linux.state import labs
from topologies.model import Topology
from topologies.problems import BadInput
from topologies.runtimes import deploy
from topologies.source import load_topology

SOURCE = Path(room.__file__).with_name("wire.bpf.c")
MOST_LINKS = MOST_ENDS // 2


def _lab(tmp_path: Path, nodes: int, links: int, *, managed: bool = False) -> Topology:
    mode = "" if managed else ", network-mode: none"
    lines = ["name: large", "mgmt: {ipv4-subnet: 10.64.0.0/16}", "topology:"]
    lines += [f"  defaults: {{kind: linux, image: nospof/base:latest{mode}}}", "  nodes:"]
    lines += [f"    n{i}: {{}}" for i in range(nodes)]
    lines += ["  links:" if links else ""]
    lines += [f"    - endpoints: [n0:a{i}, n1:a{i}]" for i in range(links)]
    return load_topology(written(tmp_path, "\n".join(lines) + "\n"))


@pytest.mark.parametrize(("name", "most"), MOST_NUMBERS.items())
def test_the_limits_are_those_of_the_maps(name: str, most: int) -> None:
    (found,) = re.findall(rf"max_entries, (\d+)\).*\}} {name} SEC", SOURCE.read_text())
    assert int(found) == most


def test_the_largest_lab_has_a_place_for_every_end_and_one_more_link_is_refused(tmp_path: Path) -> None:
    largest = _lab(tmp_path, 2, MOST_LINKS)
    refuse_larger(largest)
    assert max(end.number for ends in ends_of(largest).values() for end in ends) < MOST_NUMBERS["ends"]
    with pytest.raises(BadInput, match=r"topology.links: found 2,044 links; expected at most 2,043") as refused:
        refuse_larger(_lab(tmp_path, 2, MOST_LINKS + 1))
    assert refused.value.problems[0].line == 8 + MOST_LINKS + 1, "that of the first too many"


def test_links_to_the_management_network_count_too(tmp_path: Path) -> None:
    largest = _lab(tmp_path, 3, MOST_LINKS - 3, managed=True)
    refuse_larger(largest)
    assert max(end.number for pair in mgmt_pairs(largest) for end in pair) < MOST_NUMBERS["ends"]
    with pytest.raises(BadInput, match="2,044 links, 3 of them to the management network; expected at most 2,043"):
        refuse_larger(_lab(tmp_path, 3, MOST_LINKS - 2, managed=True))


@pytest.mark.parametrize("runtime", ["oci", "containerlab"])
def test_too_many_nodes_are_refused_by_either_runtime_before_it_makes_anything(tmp_path: Path, runtime: str) -> None:
    refuse_larger(_lab(tmp_path, MOST_NODES, 0))
    with pytest.raises(BadInput, match=r"topology.nodes: found 1,024 nodes; expected at most 1,023"):
        deploy(_lab(tmp_path, MOST_NODES + 1, 0), runtime=runtime)
    assert "large" not in labs()
