"""A lab comes up whole or not at all, and goes without leaving anything on the host."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import PAIR, Describe, Up
from tests.topologies.lab.host import held_namespaces, ping, traces
from topologies.linux.bpf import Object
from topologies.linux.state import labs
from topologies.linux.wire import Wire
from topologies.model import Topology
from topologies.oci import accounting
from topologies.oci.accounting import V1_SHARES
from topologies.oci.deploy import deploy
from topologies.oci.destroy import destroy
from topologies.oci.lab import OciLab
from topologies.runtime import NoSuchLab, RuntimeFailure
from topologies.source import load_topology

pytestmark = pytest.mark.lab
ROOT = Path(__file__).resolve().parents[3]


def test_a_lab_carries_packets_and_leaves_nothing_when_destroyed(describe: Describe, up: Up) -> None:
    topology = describe(PAIR)
    lab = up(topology)
    assert ping(lab, "a", "10.0.0.2", count=5)
    assert lab.exec("b", ["sh", "-c", "echo out; echo err >&2; exit 3"]).code == 3
    namespaces, ids = held_namespaces(topology.name), list(lab.wire.ids().values())
    found = traces(topology, namespaces=namespaces, map_ids=ids)
    kinds = {trace.split()[0] for trace in found}
    assert {"directory", "mount", "process", "cgroup", "BPF"} <= kinds, "the search must find what is there"
    lab.close()

    destroy(topology.name)

    assert traces(topology, namespaces=namespaces) == []
    # Interfaces of a dead namespace are freed by a kernel worker, and their programs and maps with them.
    wait_until(lambda: not traces(topology, map_ids=ids), "the end of its BPF maps: an interface lives on")
    assert topology.name not in labs()


def test_a_process_of_ours_is_weighed_as_a_nodes_and_outlives_the_lab(describe: Describe, up: Up) -> None:
    topology = describe(PAIR)
    lab = up(topology)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as ours:
        try:
            lab.take_in(ours.pid)
            node = next(iter(lab.pids("a")))
            assert _cpu_group(ours.pid).rpartition("/")[0] == _cpu_group(node).removesuffix("/a")
            lab.close()
            destroy(topology.name)
            assert traces(topology) == []
            assert ours.poll() is None
            with pytest.raises(RuntimeFailure, match="takes no process of ours in"):
                lab.take_in(ours.pid)
        finally:
            ours.kill()


def test_nodes_compete_for_cpu_by_process_and_only_a_limited_one_by_itself(describe: Describe, up: Up) -> None:
    lab = up(describe(PAIR.replace("    b: {", "    b: {cpu: 0.5, ", 1)))
    own = f"/nospof/{lab.topology.name}"
    shared = own if V1_SHARES.exists() else f"{own}/a"  # version 2 has one group for all that is counted
    for _ in range(2):
        assert {_cpu_group(pid) for pid in lab.pids("a")} == {shared}
        assert {_cpu_group(pid) for pid in lab.pids("b")} == {f"{own}/b"}
        assert _group_of(lab.exec("a", ["cat", "/proc/self/cgroup"]).out, "cpu") == shared
        assert _group_of(lab.exec("b", ["cat", "/proc/self/cgroup"]).out, "cpu") == f"{own}/b"
        lab.kill(["a", "b"])
        lab.restart(["a", "b"])
        assert {_cpu_group(pid) for pid in lab.pids("a")} == {f"{own}/a"}, "what boots weighs as one process"
        lab.level()


@pytest.mark.skipif(not V1_SHARES.exists(), reason="the host's CPU groups are those of all that is counted")
def test_a_process_that_is_forked_meanwhile_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's files as plain ones: the child shows in the group only once its parent has been moved."""
    group = tmp_path / "nospof/forked"
    (group / "a").mkdir(parents=True)
    (group / "a/cgroup.procs").write_text("10")
    moved: list[str] = []

    def write(path: Path, text: str) -> int:
        assert path == group / "cgroup.procs"
        moved.append(text)
        with (group / "a/cgroup.procs").open("w") as left:
            left.write("11" if moved == ["10"] else "")
        return len(text)

    monkeypatch.setattr(accounting, "V1_SHARES", tmp_path)
    monkeypatch.setattr(Path, "write_text", write)
    accounting.share("forked", "a")
    assert moved == ["10", "11"]


def _cpu_group(pid: int) -> str:
    return _group_of(Path(f"/proc/{pid}/cgroup").read_text(), "cpu")


def _group_of(text: str, controller: str) -> str:
    """Of cgroups(7): in a hierarchy with that controller, or else in the one of version 2."""
    groups = [line.split(":", 2) for line in text.splitlines()]
    return next((path for _, names, path in groups if controller in names.split(",")), groups[-1][2])


def test_a_lab_that_is_not_up_can_be_neither_destroyed_nor_opened(describe: Describe) -> None:
    topology = describe(PAIR)
    with pytest.raises(NoSuchLab, match=topology.name):
        destroy(topology.name)
    with pytest.raises(NoSuchLab, match=topology.name):
        OciLab.open(topology.name)
    assert traces(topology) == []


def test_a_destroyed_lab_can_be_deployed_again(describe: Describe, up: Up) -> None:
    topology = describe(PAIR)
    first = up(topology)
    snapshots = first.snapshots(list(topology.nodes))
    destroy(topology.name)
    again = up(topology)
    assert again.snapshots(list(topology.nodes)) == snapshots, "names alone decide indices and addresses"


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> list[Wire]:
    """The wires that deploys of this test load, also those of deploys that fail."""
    loaded: list[Wire] = []
    load = Wire.load

    def recorded() -> tuple[Wire, Object]:
        wire, programs = load()
        loaded.append(wire)
        return wire, programs

    monkeypatch.setattr(Wire, "load", recorded)
    return loaded


def _refused(topology: Topology, match: str) -> None:
    with pytest.raises(RuntimeFailure, match=match):
        deploy(topology)
    assert traces(topology) == []


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("sysctls: {net.ipv4.neigh.default.no_such: '1'}", "no_such"),
        ("sysctls: {net.ipv4.no_such: '1'}", "net.ipv4.no_such"),
    ],
)
def test_a_deploy_that_fails_midway_says_where_and_leaves_nothing(describe: Describe, line: str, match: str) -> None:
    body = PAIR.replace("b: {exec: [ip address add 10.0.0.2/24 dev eth1]}", f"b: {{{line}}}")
    _refused(describe(body), match)


def test_a_deploy_whose_container_cannot_start_leaves_nothing(describe: Describe, tmp_path: Path) -> None:
    bound = tmp_path / "bound"
    bound.touch()
    topology = describe(PAIR.replace("b: {", f"b: {{binds: ['{bound}:/bound'], "))
    bound.unlink()
    _refused(topology, "node b: runc")


def test_a_deploy_that_fails_leaves_no_interface_that_holds_its_programs(
    describe: Describe, wires: list[Wire], tmp_path: Path
) -> None:
    bound = tmp_path / "bound"
    bound.touch()
    topology = describe(PAIR.replace("b: {", f"b: {{binds: ['{bound}:/bound'], "))
    bound.unlink()
    _refused(topology, "node b: runc")
    ids = [number for wire in wires for number in wire.ids().values()]
    assert ids
    for wire in wires:
        wire.close()  # what this process itself still holds
    wait_until(lambda: not traces(topology, map_ids=ids), "the end of its BPF maps")


def test_the_topology_is_read_back_when_a_lab_is_opened_by_name(describe: Describe, up: Up) -> None:
    topology = describe(PAIR)
    up(topology)
    opened = OciLab.open(topology.name)
    try:
        assert opened.topology == load_topology(topology.path)
        assert opened.exec("a", ["hostname"]).out.strip() == "a"
    finally:
        opened.close()


def test_a_command_starts_inside_the_nodes_own_root(describe: Describe, up: Up) -> None:
    lab = up(describe(PAIR))
    done = lab.exec("a", ["sh", "-c", "pwd -P; [ . -ef / ]"])
    assert (done.code, done.out, done.err) == (0, "/\n", "")


def test_a_nodes_limits_are_the_kernels(describe: Describe, up: Up) -> None:
    limits = "memory: 64MiB, cpu: 0.5, cpu-set: '0', shm-size: 1MiB, "
    lab = up(describe(PAIR.replace("    a: {", f"    a: {{{limits}", 1)))
    (pid, *_) = lab.pids("a")
    groups = {
        name: path
        for _, names, path in (line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
        for name in (names or "unified").split(",")
    }

    def of(controller: str, v1: str, v2: str) -> str:
        root = Path("/sys/fs/cgroup")
        old = root / controller / groups.get(controller, "-").lstrip("/") / v1
        return (old if old.exists() else root / groups["unified"].lstrip("/") / v2).read_text().strip()

    assert int(of("memory", "memory.limit_in_bytes", "memory.max")) == 64 << 20
    assert of("cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert of("cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
    inside = lab.exec("a", ["cat", "/proc/self/cgroup"]).out
    for controller in ("memory", "cpu", "cpuset"):
        assert _group_of(inside, controller).endswith("/a"), "limits hold for commands, too"
    assert lab.exec("a", ["df", "-B1", "--output=size", "/dev/shm"]).out.split()[-1] == str(1 << 20)
