"""A containerlab file means the same to both runtimes: what a node finds is what its file says, whoever deployed it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import CHAIN, PAIR, Describe, Up, both_runtimes
from tests.topologies.lab.host import ping
from topologies.model import Topology
from topologies.runtime import LabExists, RuntimeFailure
from topologies.runtimes import LinuxLab, deploy, destroy
from topologies.source import load_topology

pytestmark = [pytest.mark.lab, both_runtimes]
ROOT = Path(__file__).resolve().parents[3]
# What `containerlab inspect --format json` gives for every node.
INSPECTED = {
    "lab_name", "labPath", "absLabPath", "name", "container_id", "image", "kind", "group", "state", "status",
    "ipv4_address", "ipv6_address", "ports", "owner",
}  # fmt: skip

TOLD = """\
  nodes:
    a:
      sysctls: {net.ipv4.ip_forward: "1"}
      env: {COLOUR: "deep blue"}
      labels: {nospof.role: client, my.label: here}
      binds: ["BOUND:/bound:ro"]
      exec:
        - ip address add 10.0.0.1/24 dev eth1
        - sh -c 'echo "$COLOUR" >/told'
        - no-such-command
        - ip address add 2001:db8::1/64 dev eth1
    b:
      exec: [ip address add 10.0.0.2/24 dev eth1]
  links:
    - type: veth
      mtu: 1400
      endpoints:
        - {node: a, interface: eth1, mac: "02:00:00:00:0a:01"}
        - {node: b, interface: eth1, mac: "02:00:00:00:0a:02"}
    - {endpoints: [a:east, b:west]}
"""


@pytest.fixture
def told(describe: Describe, up: Up, tmp_path: Path) -> LinuxLab:
    bound = tmp_path / "bound"
    bound.write_text("from the host\n")
    return up(describe(TOLD.replace("BOUND", str(bound))))


def _out(lab: LinuxLab, node: str, *argv: str) -> str:
    done = lab.exec(node, argv)
    assert done.code == 0, f"{argv}: {done.err}"
    return done.out


def test_a_node_finds_what_its_file_says(told: LinuxLab) -> None:
    shown = {link["ifname"]: link for link in json.loads(_out(told, "a", "ip", "-j", "address"))}
    eth1 = shown["eth1"]
    assert eth1["address"] == "02:00:00:00:0a:01"
    assert eth1["mtu"] == 1400
    assert shown["east"]["mtu"] == 9500, "containerlab's default"
    assert {(a["local"], a["prefixlen"]) for a in eth1["addr_info"] if a["scope"] == "global"} == {
        ("10.0.0.1", 24),
        ("2001:db8::1", 64),
    }, "an exec line that fails keeps none behind it from being run"
    assert sorted(shown) == ["east", "eth1", "lo"], "and no interface that it does not say"
    assert _out(told, "a", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert _out(told, "b", "cat", "/proc/sys/net/ipv6/conf/all/disable_ipv6") == "0\n"
    assert _out(told, "a", "cat", "/bound") == "from the host\n"
    assert told.exec("a", ["touch", "/bound"]).code != 0
    assert _out(told, "a", "hostname") == "a\n"
    assert ping(told, "a", "10.0.0.2", count=3)


def test_a_node_and_commands_in_it_have_the_files_environment(told: LinuxLab) -> None:
    environment = dict(line.split("=", 1) for line in _out(told, "a", "env").splitlines())
    expected = {
        "COLOUR": "deep blue",
        "CLAB_INTFS": "2",
        "CLAB_LABEL_NOSPOF_ROLE": "client",
        "CLAB_LABEL_MY_LABEL": "here",
        "CLAB_LABEL_CLAB_NODE_NAME": "a",
        "CLAB_LABEL_CLAB_NODE_LONGNAME": f"clab-{told.topology.name}-a",
        "CLAB_LABEL_CONTAINERLAB": told.topology.name,
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert _out(told, "a", "cat", "/told") == "deep blue\n"


def test_a_frozen_nodes_kernel_goes_on_and_its_processes_do_not(told: LinuxLab) -> None:
    (pid,) = told.processes("b", "sleep")
    assert told.signal("b", "sleep", signal.SIGSTOP) == (pid,)
    wait_until(lambda: told.stopped(pid), "the process's stop")
    assert ping(told, "a", "10.0.0.2", count=3), "its kernel answers"
    told.signal("b", "sleep", signal.SIGCONT)
    wait_until(lambda: not told.stopped(pid), "the process's going on")


def test_a_file_comes_in_with_its_mode_goes_out_and_no_link_leads_out_of_the_node(
    told: LinuxLab, tmp_path: Path
) -> None:
    mine, back = tmp_path / "mine", tmp_path / "back"
    mine.write_bytes(b"\0of the host\xff")
    mine.chmod(0o751)
    told.copy_in("a", mine, "/opt/of the host")
    assert _out(told, "a", "stat", "-c", "%a %s", "/opt/of the host") == "751 13\n"
    told.copy_out("a", "/opt/of the host", back)
    assert back.read_bytes() == mine.read_bytes()
    _out(told, "a", "ln", "-s", f"{tmp_path}/trap", "/opt/trap")
    with pytest.raises(RuntimeFailure, match="node a: /opt/trap: No such file or directory"):
        told.copy_in("a", mine, "/opt/trap")
    assert not (tmp_path / "trap").exists()
    with pytest.raises(RuntimeFailure, match="/no/such: No such file"):
        told.copy_out("a", "/no/such", back)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith((".", "back"))) == ["back"]


def test_a_node_is_frozen_whole_and_thawed(told: LinuxLab) -> None:
    told.freeze(["a"])
    pids = told.pids("a")
    assert all(map(told.stopped, pids))
    assert not any(map(told.stopped, told.pids("b")))
    assert ping(told, "b", "10.0.0.1", count=3), "its kernel answers"
    told.thaw(["a"])
    assert not any(map(told.stopped, pids))
    assert set(told.pids("a")) == set(pids)


def test_inspect_has_containerlabs_shape_and_tells_the_dead_from_the_living(told: LinuxLab) -> None:
    told.kill(["b"])
    command = [sys.executable, "-m", "cli", "inspect", told.topology.name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)[told.topology.name]
    assert [set(row) for row in rows] == [INSPECTED, INSPECTED]
    by_name = {row["name"]: row for row in rows}
    lab = told.topology.name
    assert {name: row["state"] for name, row in by_name.items()} == {
        f"clab-{lab}-a": "running",
        f"clab-{lab}-b": "exited",
    }
    assert by_name[f"clab-{lab}-a"]["image"] == "nospof/base:latest"


def test_a_lab_that_is_up_is_not_deployed_again_and_goes_on(describe: Describe, up: Up, runtime: str) -> None:
    topology = describe(PAIR)
    lab = up(topology)
    before = {node: (lab.pids(node), lab.snapshot(node)) for node in topology.nodes}
    with pytest.raises(LabExists, match=topology.name):
        deploy(topology, runtime=runtime)
    assert {node: (lab.pids(node), lab.snapshot(node)) for node in topology.nodes} == before
    assert ping(lab, "a", "10.0.0.2")


MANAGED = """\
  nodes:
    a: {mgmt-ipv4: 172.20.20.77}
    b: {}
    c: {network-mode: none}
  links:
    - endpoints: [a:eth1, b:eth1]
"""


def test_nodes_that_do_not_say_otherwise_share_a_management_network(describe: Describe, up: Up) -> None:
    lab = up(describe(MANAGED, managed=True))
    assert lab.mgmt_addresses("a")[4] == "172.20.20.77/24"
    assert lab.mgmt_addresses("c") == {}, "this one says otherwise"
    for version, gateway in ((4, "172.20.20.1"), (6, "3fff:172:20:20::1")):
        address = lab.mgmt_addresses("b")[version]
        assert address in _out(lab, "b", "ip", "address", "show", "eth0")
        assert ping(lab, "a", address.partition("/")[0], count=3)
        assert f"default via {gateway} dev eth0" in _out(lab, "a", "ip", f"-{version}", "route")
    assert "eth0" not in _out(lab, "c", "ip", "link")
    reached = lab.mgmt_addresses("b")[4].partition("/")[0]
    lab.kill(["b"])
    assert not ping(lab, "a", reached), "a killed node is silent there, too"


def test_a_reset_takes_every_fault_back(describe: Describe, up: Up) -> None:
    lab = up(describe(CHAIN))
    nodes = list(lab.topology.nodes)
    before = lab.snapshots(nodes)
    first, second = lab.topology.links
    (frozen,) = lab.processes("a", "sleep")
    lab.signal("a", "sleep", signal.SIGSTOP)
    lab.cut_link(first)
    lab.drop_carrier(second)
    lab.kill(["r"])
    assert not ping(lab, "a", "10.0.1.2")
    said = lab.reset()
    assert lab.snapshots(nodes) == before
    assert not lab.stopped(frozen)
    assert ping(lab, "a", "10.0.2.1", count=3)
    for what in (str(first), str(second), "sleep of a", "r started anew"):
        assert any(what in sentence for sentence in said), said
    assert lab.reset() == [], "what is well is left alone"


ORDERED = """\
  nodes:
    a:
      cmd: sh -c 'sleep 1; touch /shared/ready; exec sleep infinity'
      binds: ["SHARED:/shared"]
      healthcheck: {test: [CMD-SHELL, "test -e /shared/ready"], interval: 1, retries: 60}
      exec: ["sh -c 'echo a configured >>/shared/order'"]
    b:
      binds: ["SHARED:/shared"]
      stages:
        create:
          wait-for: [{node: a, stage: healthy}]
          exec: [{command: "sh -c 'echo b created >>/shared/order'", phase: on-exit}]
        configure:
          exec: [{command: "sh -c 'echo b configures >>SHARED/order'", target: host}]
      exec: ["sh -c 'echo b configured, $(ls /shared | grep -c ready) >>/shared/order'"]
"""


def test_nodes_go_through_their_stages_in_the_files_order(describe: Describe, up: Up, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    up(describe(ORDERED.replace("SHARED", str(shared))))
    assert (shared / "order").read_text().splitlines() == [
        "a configured",
        "b created",
        "b configures",
        "b configured, 1",
    ]


def test_a_node_forwards_unless_its_file_says_no_whatever_its_host_does(
    runtime: str, describe: Describe, up: Up
) -> None:
    """A new namespace has its host's word for it: a lab of routers that were never told to forward worked on hosts of Docker alone.

    Docker turns forwarding on in a node of its bridge whatever the file says.
    """
    lab = up(describe("  nodes:\n    a: {}\n    b: {sysctls: {net.ipv4.ip_forward: 0}}\n"))
    assert _out(lab, "a", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    if runtime == "oci":
        assert _out(lab, "b", "cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"


def test_a_lab_in_the_style_of_containerlabs_examples_works_unchanged(
    runtime: str, up: Up, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Three FRR routers with bound configurations, hosts with exec lines, and the management network that nobody asked for."""
    name = f"frr-{os.getpid()}-{runtime}"
    shutil.copytree(Path(__file__).parent / "frr", tmp_path / "frr")
    path = tmp_path / "frr/frr.clab.yml"
    path.write_text(path.read_text().replace("name: frr\n", f"name: {name}\n"))
    request.addfinalizer(lambda: destroy(name))
    lab = up(load_topology(path))
    pairs = [("PC1", "192.168.13.2"), ("PC2", "192.168.11.2"), ("PC3", "192.168.12.2")]
    # Hellos each second, on links of two; a neighbour that missed the first answer is asked again after 5 s, twice at most.
    wait_until(lambda: all(ping(lab, pc, far) for pc, far in pairs), "OSPF's convergence", deadline_s=40)
    neighbours = json.loads(_out(lab, "router1", "vtysh", "-c", "show ip ospf neighbor json"))["neighbors"]
    assert sorted(neighbours) == ["10.10.10.2", "10.10.10.3"]
    shown = _out(lab, "router1", "ip", "-br", "address", "show", "eth0")
    assert lab.mgmt_addresses("router1")[4] in shown


def _left(topology: Topology) -> list[str]:
    """Interfaces, namespaces, containers and directories that bear the lab's name."""
    places = [Path("/run/nospof/labs"), Path("/run/netns"), topology.path.parent]
    found = [str(p) for place in places if place.exists() for p in place.iterdir() if topology.name in p.name]
    names = Path("/etc/hosts").read_text()
    return [*(p for p in found if p != str(topology.path)), *(["/etc/hosts"] if topology.name in names else [])]


def test_a_destroyed_lab_leaves_nothing_and_can_be_deployed_again(describe: Describe, up: Up) -> None:
    topology = describe(PAIR)
    for _ in range(2):
        lab = up(topology)
        assert ping(lab, "a", "10.0.0.2")
        assert _left(topology), "the search must find what is there"
        lab.close()
        destroy(topology.name)
        assert _left(topology) == []
