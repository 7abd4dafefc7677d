"""Our own reading of routes says what iproute2 says, of every kind of route that a lab has."""

from __future__ import annotations

import json

import pytest

from tests.topologies.lab.conftest import CHAIN, Describe, Up
from topologies.linux import routes
from topologies.linux.dumps import Dumps
from topologies.linux.netns import inside
from topologies.runtimes import LinuxLab

pytestmark = pytest.mark.lab
MORE = (
    "ip route add 198.51.100.0/24 nexthop via 10.0.1.1 nexthop via 10.0.2.1",
    "ip route add 192.0.2.1/32 dev eth2 table 100",
    "ip route add blackhole 192.0.2.9/32",
    "ip -6 address add 2001:db8::1/64 dev eth1 nodad",
    "ip -6 route add 2001:db8:9::/48 nexthop via 2001:db8::2 dev eth1 nexthop via fe80::1 dev eth2",
)


def by_iproute(lab: LinuxLab, node: str) -> set[str]:
    found = set()
    index = {end.interface: end.index for end in lab.ends[node]} | {"lo": 1}
    tables = {"main": 254, "local": 255}
    for family in ("-4", "-6"):
        shown = lab.exec(node, ["ip", family, "-j", "route", "show", "table", "all"]).out
        for r in json.loads(shown):
            if r.get("type", "unicast") != "unicast":
                continue
            to = r["dst"]
            if to != "default" and "/" not in to:
                to += "/32" if family == "-4" else "/128"
            ways = [h for h in r.get("nexthops", [r]) if "dead" not in h["flags"]]
            if not ways:
                continue
            hops = [h["dev"] for h in ways]
            via = " ".join(sorted(f"dev {index[h]}" for h in hops))
            table = r.get("table", "main")
            found.add(f"route {to if to != 'default' else 'default/0'} table {tables.get(table, table)} {via}")
    return found


def read(lab: LinuxLab, node: str) -> set[str]:
    def body() -> set[str]:
        with Dumps() as dumps:
            return routes.lines(dumps)

    return inside(lab.netns(node), body)


def test_routes_are_read_as_iproute2_reads_them(describe: Describe, up: Up) -> None:
    lab = up(describe(CHAIN))
    for command in MORE:
        assert lab.exec("r", command.split()).code == 0, command
    for node in ("a", "r", "b"):
        assert read(lab, node) == by_iproute(lab, node)
    assert any(line.count("dev") == 2 for line in read(lab, "r"))


def test_a_way_without_carrier_is_none_where_such_ways_are_ignored(describe: Describe, up: Up) -> None:
    """Static routes stay in the table then, and the kernel says of them that they are dead."""
    lab = up(describe(CHAIN))
    both = "ip route add 198.51.100.0/24 nexthop via 10.0.1.1 nexthop via 10.0.2.1"
    alone = "ip route add 198.51.101.0/24 via 10.0.2.1"
    for command in (both, alone):
        assert lab.exec("r", command.split()).code == 0, command
    (link,) = (one for one in lab.topology.links_of("r") if one.end_beyond("r").node == "b")
    number = next(end.index for end in lab.ends["r"] if end.interface == link.end_at("r").interface)
    for ignored, ways in (("0", 2), ("1", 1)):
        lab.exec("r", ["sysctl", "-w", f"net.ipv4.conf.all.ignore_routes_with_linkdown={ignored}"])
        lab.drop_carrier(link)
        try:
            lines = read(lab, "r")
            assert lines == by_iproute(lab, "r")
            (shared,) = (line for line in lines if line.startswith("route 198.51.100.0/24 "))
            assert shared.count("dev") == ways
            assert any(line.startswith("route 198.51.101.0/24 ") for line in lines) == (ways == 2)
            assert (f"dev {number}" in shared) == (ways == 2)
        finally:
            lab.raise_carrier(link)
