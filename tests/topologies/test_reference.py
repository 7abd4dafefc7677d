"""The reference as committed: what its generator makes, of the promised shape, and routed on every link."""

from __future__ import annotations

import json
import re
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from topologies.check import load_checked
from topologies.model import Topology
from topologies.reference.generate import TOPOLOGIES, everything
from topologies.reference.plan import INNER_MTU, OUTER_MTU, REGIONS, Network, app_addresses, app_link, network
from topologies.source import load_topology

REFERENCE = TOPOLOGIES / "reference/reference.clab.yml"
SINGLE = TOPOLOGIES / "counterexamples/single-l4.clab.yml"
NETWORKS = {"reference": network("reference"), "single-l4": network("single-l4", l4={"eu": 1})}
PATHS = {"reference": REFERENCE, "single-l4": SINGLE}
both = pytest.mark.parametrize("name", list(NETWORKS))


def _configuration(net: Network, node: str, file: str) -> str:
    folder = PATHS[net.name].parent / "configs" / net.name
    return (folder / node / file).read_text()


@pytest.fixture(params=list(PATHS))
def topology(request: pytest.FixtureRequest) -> Topology:
    return load_topology(PATHS[request.param])


def test_committed_files_are_what_the_generator_makes() -> None:
    stale = [str(path) for path, text in everything().items() if (TOPOLOGIES / path).read_text() != text]
    assert not stale, "run `python -m topologies.reference.generate`"


def test_no_configuration_is_committed_that_the_generator_does_not_make() -> None:
    folders = [TOPOLOGIES / folder / "configs" for folder in ("reference", "counterexamples")]
    committed = {path.relative_to(TOPOLOGIES) for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert committed <= set(everything())


@pytest.mark.parametrize("path", [REFERENCE, SINGLE])
def test_topology_and_contract_are_valid_together(path: Path) -> None:
    topology, contract = load_checked(path)
    assert set(contract.services) == {"web", "web-tls", "echo"}
    assert topology.regions() == tuple(sorted(REGIONS))


def test_the_reference_has_33_nodes_and_60_links() -> None:
    topology = load_topology(REFERENCE)
    assert (len(topology.nodes), len(topology.links)) == (33, 60)
    per_region = {"transit": 1, "edge": 2, "l4": 2, "l7": 2, "app": 2, "control": 1, "client": 1}
    for region in REGIONS:
        assert Counter(node.role for node in topology.nodes_in_region(region)) == per_region


def test_the_counterexample_is_the_reference_with_one_l4_less() -> None:
    reference, single = load_topology(REFERENCE), load_topology(SINGLE)
    assert set(reference.nodes) - set(single.nodes) == {"eu-l4-2"}
    assert set(single.nodes) <= set(reference.nodes)


def test_every_router_has_a_hash_seed_of_its_own(topology: Topology) -> None:
    seeds = {node.name: node.env["HASH_SEED"] for node in topology.nodes.values() if "LOOPBACK" in node.env}
    routers = [name for name, member in NETWORKS[topology.name].members.items() if member.router]
    assert sorted(seeds) == sorted(routers)
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 < int(seed) < 2**31 for seed in seeds.values()), "0 means: none"


def test_no_link_of_a_node_that_runs_xdp_is_too_large_for_it(topology: Topology) -> None:
    inner = {"edge", "l4", "l7"}
    for link in topology.links:
        roles = {topology.nodes[end.node].role for end in link.endpoints}
        assert link.mtu == (INNER_MTU if roles <= inner else OUTER_MTU), str(link)


def test_no_node_has_a_hidden_path(topology: Topology) -> None:
    assert {node.network_mode for node in topology.nodes.values()} == {"none"}


@both
def test_both_ends_of_every_link_between_routers_speak_bgp_over_it_watched_by_bfd(name: str) -> None:
    net = NETWORKS[name]
    for wire in net.wires:
        for member, interface, peer in ((wire.a, wire.a_interface, wire.b), (wire.b, wire.b_interface, wire.a)):
            if not member.router or member.role == peer.role == "edge":
                continue
            lines = [line.strip() for line in _configuration(net, member.name, "bgpd.conf").splitlines()]
            sessions = [line for line in lines if line.startswith(f"neighbor {interface} interface")]
            assert len(sessions) == (1 if peer.router else 0), f"{member.name}:{interface}"
            if peer.router:
                assert f"neighbor {interface} bfd profile path" in lines
                assert lines.count(f"neighbor {interface} activate") == 2, "one session carries both families"


@both
def test_checks_notice_a_frozen_l7_node_before_its_clients_have_lost_a_second(name: str) -> None:
    for member in NETWORKS[name].of("l4"):
        check = json.loads(_configuration(NETWORKS[name], member.name, "l4.json"))["check"]
        assert check["fall"] == check["again"] + 2, "two checks, and those that follow the first of them at once"
        after_ms = 2 * check["timeout_ms"]
        assert after_ms + check["interval_ms"] <= 900, "which leaves 100 ms for the tables"
        assert after_ms >= 300, "a link that is cut silently may take that long to be out of use"


@both
def test_every_router_announces_its_loopback_in_both_families(name: str) -> None:
    net = NETWORKS[name]
    routers = [member for member in net.members.values() if member.router]
    assert len({member.loopback6 for member in routers}) == len(routers)
    topology = load_topology(PATHS[name])
    for member in routers:
        text = _configuration(net, member.name, "bgpd.conf")
        _, four, six = re.split(r"address-family ipv[46] unicast", text)
        assert f"network {member.loopback}/32" in four
        assert f"network {member.loopback6}/128" in six
        assert topology.nodes[member.name].env["LOOPBACK"].split() == [
            f"{member.loopback}/32",
            f"{member.loopback6}/128",
        ]


@both
def test_every_service_has_a_vip_of_each_family_on_every_l4_and_l7(name: str) -> None:
    net = NETWORKS[name]
    _, contract = load_checked(PATHS[name])
    promised = sorted((vip, service.port) for service in contract.services.values() for vip in service.vip)
    vips = {vip for vip, _ in promised}
    assert {ip_address(vip).version for vip in vips} == {4, 6}
    prefixes = sorted(f"{vip}/{ip_address(vip).max_prefixlen}" for vip in vips)
    for l4 in net.of("l4"):
        services = json.loads(_configuration(net, l4.name, "l4.json"))["services"]
        ports = [(s, port) for s in services for port in (s["port"], *s.get("more_ports", ()))]
        assert sorted((vip, port) for service, port in ports for vip in service["vip"]) == promised
    for l7 in net.of("l7"):
        assert sorted(json.loads(_configuration(net, l7.name, "l7.json"))["vips"]) == prefixes
        assert sorted(load_topology(PATHS[name]).nodes[l7.name].env["VIPS"].split()) == prefixes


@both
def test_every_l4_knows_the_routers_around_it(name: str) -> None:
    net = NETWORKS[name]
    for l4 in net.of("l4"):
        uplinks = json.loads(_configuration(net, l4.name, "l4.json"))["uplinks"]
        assert uplinks == [edge.loopback for edge in net.of("edge", l4.region)]


def test_the_contract_drains_l7_nodes_for_nothing_and_names_the_events() -> None:
    _, contract = load_checked(REFERENCE)
    assert contract.events == "/run/nospof/events.sock"
    assert contract.actions["l7"] == {"drain": ("l7ctl", "drain"), "undrain": ("l7ctl", "undrain")}
    judging = contract.judged_by("drain", "l7")
    assert judging is not None
    drain = judging.budget
    assert (drain.black_hole_ns, drain.new_fail_ns, str(drain.broken)) == (0, 0, "0")
    assert contract.budgets["kill-node/l7"].black_hole_ns == 500_000_000


@both
def test_no_configuration_names_an_interface_that_is_not_there(name: str) -> None:
    net = NETWORKS[name]
    for member in net.members.values():
        if member.router:
            named = set(re.findall(r"\beth[0-9]+\b", _configuration(net, member.name, "bgpd.conf")))
            assert named <= {interface for interface, _ in net.ends(member.name)}


@both
def test_neighbouring_routers_are_in_different_systems(name: str) -> None:
    for wire in NETWORKS[name].wires:
        if wire.a.router and wire.b.router and not wire.a.role == wire.b.role == "edge":
            assert wire.a.asn != wire.b.asn


@both
def test_every_l7_hands_strangers_once_around_its_region(name: str) -> None:
    net = NETWORKS[name]
    for region in REGIONS:
        members = net.of("l7", region)
        for at, l7 in enumerate(members):
            others = json.loads(_configuration(net, l7.name, "l7.json"))["others"]
            assert others[0] == members[(at + 1) % len(members)].loopback
            assert sorted([*others, l7.loopback]) == sorted(one.loopback for one in members)


@both
def test_both_edges_of_a_region_know_the_way_by_each_other(name: str) -> None:
    net, topology = NETWORKS[name], load_topology(PATHS[name])
    for region in REGIONS:
        one, two = (topology.nodes[edge.name].env["BACKUP"].split() for edge in net.of("edge", region))
        assert one[1:] == two[:0:-1], "own address and the other's"
        ends = {f"{edge.name}:{way[0]}" for edge, way in zip(net.of("edge", region), (one, two), strict=True)}
        assert ends in [{str(end) for end in link.endpoints} for link in topology.links]


@both
def test_loopbacks_and_links_of_apps_never_overlap(name: str) -> None:
    net = NETWORKS[name]
    loopbacks = [member.loopback for member in net.members.values() if member.router]
    pairs = [app_link(l7, app) for region in REGIONS for l7 in net.of("l7", region) for app in net.of("app", region)]
    addresses = [*loopbacks, *(address for pair in pairs for address in pair)]
    assert len(set(addresses)) == len(addresses)
    for l7_end, app_end in pairs:
        assert ip_address(app_end) in ip_network(f"{l7_end}/31")


@both
def test_a_client_reaches_two_transits_and_prefers_its_own(name: str) -> None:
    net = NETWORKS[name]
    for client in net.of("client"):
        peers = {peer.region: interface for interface, peer in net.ends(client.name)}
        assert len(peers) == 2
        own = peers.pop(client.region)
        (other,) = peers.values()
        text = _configuration(net, client.name, "bgpd.conf")
        assert f"neighbor {other} route-map BACKUP in" in text
        assert f"neighbor {own} route-map" not in text


@both
def test_every_l4_balances_over_the_l7_nodes_of_its_region_and_every_l7_over_all_apps(name: str) -> None:
    net = NETWORKS[name]
    for l4 in net.of("l4"):
        backends = json.loads(_configuration(net, l4.name, "l4.json"))["backends"]
        assert [b["name"] for b in backends] == [m.name for m in net.of("l7", l4.region)]
    for l7 in net.of("l7"):
        apps = json.loads(_configuration(net, l7.name, "l7.json"))["apps"]
        assert {a["name"] for a in apps} == {m.name for m in net.of("app")}
        for app in net.of("app"):
            assert [a["address"] for a in apps if a["name"] == app.name] == app_addresses(net, l7, app)
