"""The management network: everybody who is on it has an address of its own, and what a file asks for it gets or is told why not."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.files import line_of, only, problems_of_topology, written
from topologies.management import Management, with_addresses
from topologies.source import load_topology

MANAGED = """\
name: lab
mgmt:
  network: ours
  ipv4-subnet: 10.9.0.0/29
topology:
  defaults: {kind: linux, image: nospof/base:latest}
  nodes:
    a: {}
    b: {mgmt-ipv4: 10.9.0.2}
    c: {network-mode: none}
  links:
    - endpoints: [a:eth1, b:eth1]
"""


def test_addresses_are_the_files_or_the_lowest_free(tmp_path: Path) -> None:
    mgmt = load_topology(written(tmp_path, MANAGED)).mgmt
    assert mgmt
    assert (mgmt.name, str(mgmt.gateways[0])) == ("ours", "10.9.0.1/29")
    assert {node: [str(a) for a in found] for node, found in mgmt.addresses.items()} == {
        "a": ["10.9.0.3/29"],
        "b": ["10.9.0.2/29"],
    }


def test_a_lab_whose_nodes_are_all_off_it_has_none(tmp_path: Path) -> None:
    text = MANAGED.replace("image: nospof/base:latest", "image: nospof/base:latest, network-mode: none")
    text = text.replace(", mgmt-ipv4: 10.9.0.2", "").replace("mgmt-ipv4: 10.9.0.2", "")
    assert load_topology(written(tmp_path, text)).mgmt is None


def test_both_families_are_there_where_none_is_given(tmp_path: Path) -> None:
    text = MANAGED.replace("mgmt:\n  network: ours\n  ipv4-subnet: 10.9.0.0/29\n", "").replace(
        "mgmt-ipv4: 10.9.0.2", ""
    )
    mgmt = load_topology(written(tmp_path, text)).mgmt
    assert mgmt
    assert [str(a) for a in mgmt.addresses["a"]] == ["172.20.20.2/24", "3fff:172:20:20::2/64"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10.9.0.0/29", "10.9.0.1/29", "host bits"),
        ("10.9.0.0/29", "10.9.0.0/31", "with room for"),
        ("ipv4-subnet: 10.9.0.0/29", "bridge: br0", "the key 'bridge'"),
        ("ipv4-subnet: 10.9.0.0/29", "external-access: true", "a lab is closed"),
        ("mgmt-ipv4: 10.9.0.2", "mgmt-ipv4: 10.9.0.1", "the gateway"),
        ("mgmt-ipv4: 10.9.0.2", "mgmt-ipv4: 10.8.0.2", "10.9.0.0/29"),
        ("mgmt-ipv4: 10.9.0.2", "mgmt-ipv4: two", "an IP address"),
        ("network-mode: none", "network-mode: none, mgmt-ipv4: 10.9.0.4", "keeps this node off"),
        ("network-mode: none", "network-mode: host", "'host'"),
        ("a:eth1", "a:eth0", "eth0 is this node's"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = MANAGED.replace(old, new)
    problems = problems_of_topology(tmp_path, text)
    told = [problem for problem in problems if said in f"{problem.found} {problem.expected}"]
    assert told, "\n".join(map(str, problems))
    assert told[0].line == line_of(text, new.split("\n", maxsplit=1)[0])


def test_an_address_belongs_into_one_nodes_definition(tmp_path: Path) -> None:
    text = MANAGED.replace("image: nospof/base:latest}", "image: nospof/base:latest, mgmt-ipv4: 10.9.0.5}")
    assert "a node's own definition" in only(problems_of_topology(tmp_path, text)).expected


@given(st.integers(1, 20), st.sampled_from(["10.0.0.0/27", "2001:db8::/64"]))
def test_no_two_nodes_share_an_address_and_none_has_the_networks_own(count: int, subnet: str) -> None:
    net = ipaddress.ip_network(subnet)
    mgmt = with_addresses(Management(subnets=(net,)), [f"n{i}" for i in range(count)], {})
    found = [address for addresses in mgmt.addresses.values() for address in addresses]
    assert len({address.ip for address in found}) == count
    own = {net.network_address, mgmt.gateways[0].ip, *([net.broadcast_address] if net.version == 4 else [])}
    assert not own & {address.ip for address in found}
    assert all(address.ip in net for address in found)
