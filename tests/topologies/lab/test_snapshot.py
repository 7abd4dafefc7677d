"""A snapshot says of links, addresses and qdiscs what iproute2 says, and tells when one of them changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.topologies.lab.conftest import CHAIN, Describe, Up
from topologies.runtimes import LinuxLab

pytestmark = pytest.mark.lab


def shown(lab: LinuxLab, node: str, *command: str) -> list[dict[str, Any]]:
    rows = json.loads(lab.exec(node, command).out)
    assert isinstance(rows, list)
    return rows


def by_iproute(lab: LinuxLab, node: str) -> set[str]:
    index = {end.interface: end.index for end in lab.ends[node]} | {"lo": 1}
    links = shown(lab, node, "ip", "-j", "-d", "address", "show")
    found = {f"link {one['ifindex']} {one['operstate']} mtu {one['mtu']} xdp {int('xdp' in one)}" for one in links}
    found |= {
        f"address {one['ifindex']} {address['local']}/{address['prefixlen']}"
        for one in links
        for address in one["addr_info"]
    }
    for one in shown(lab, node, "tc", "-j", "qdisc", "show"):
        parent = {"clsact": 0xFFFFFFF1}.get(one["kind"], 0xFFFFFFFF)
        found.add(f"qdisc {index[one['dev']]} {one['kind']} {parent:x}")
    return found


def test_links_addresses_and_qdiscs_are_read_as_iproute2_reads_them(describe: Describe, up: Up) -> None:
    lab = up(describe(CHAIN))
    for node in ("a", "r", "b"):
        ours = {line for line in lab.snapshot(node) if not line.startswith("route ")}
        assert ours == by_iproute(lab, node)
        assert {line.split()[0] for line in ours} == {"link", "address", "qdisc"}


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("link", "ip link set eth1 mtu 1400"),
        ("link", "ip link set eth2 down"),
        ("address", "ip address add 192.0.2.77/32 dev lo"),
        ("address", "ip -6 address add 2001:db8:77::1/64 dev eth1 nodad"),
        ("qdisc", "tc qdisc add dev lo clsact"),
        ("route", "ip route add 198.51.100.0/24 via 10.0.1.1"),
    ],
)
def test_a_change_of_each_kind_shows(describe: Describe, up: Up, kind: str, command: str) -> None:
    lab = up(describe(CHAIN))
    before = lab.snapshot("r")
    assert lab.exec("r", command.split()).code == 0
    changed = lab.snapshot("r") ^ before
    assert any(line.startswith(f"{kind} ") for line in changed), (changed, command)
