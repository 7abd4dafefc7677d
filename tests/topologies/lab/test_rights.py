"""What a node may do to its host, as the kernel says: not set its clock, load its modules, reboot it or make its devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import Describe, Up
from tests.topologies.lab.host import traces
from topologies.capabilities import ONLY_ASKED, of_bits
from topologies.oci import containers
from topologies.runtime import RuntimeFailure
from topologies.runtimes import LinuxLab, deploy

pytestmark = pytest.mark.lab
NODES = "  nodes:\n    plain: {}\n    clock: {cap-add: [SYS_TIME, MKNOD]}\n    guest: {user: nobody}\n"
ROUTERS = {"NET_ADMIN", "NET_RAW", "BPF", "SYS_ADMIN", "SYS_PTRACE"}


def _of(status: str, kind: str) -> set[str]:
    return set(of_bits(int(next(line.split()[1] for line in status.splitlines() if line.startswith(kind)), 16)))


@pytest.fixture
def lab(describe: Describe, up: Up) -> LinuxLab:
    return up(describe(NODES))


def _statuses(lab: LinuxLab, node: str) -> list[str]:
    """Of its first process, of its command, and of one that `exec` runs."""
    wait_until(lambda: len(lab.pids(node)) == 2, "its command")
    own = [Path(f"/proc/{pid}/status").read_text() for pid in lab.pids(node)]
    return [*own, lab.exec(node, ["cat", "/proc/self/status"]).out]


def test_a_node_has_what_a_router_needs_and_nothing_that_reaches_beyond_it(lab: LinuxLab) -> None:
    host = set(containers.host_capabilities())
    for status in _statuses(lab, "plain"):
        assert _of(status, "CapEff") == _of(status, "CapBnd") == host - ONLY_ASKED
        assert _of(status, "CapEff") >= ROUTERS & host
    assert lab.exec("plain", ["mknod", "/tmp/null", "c", "1", "3"]).code != 0
    assert lab.exec("plain", ["date", "-s", "@0"]).code != 0
    assert lab.exec("plain", ["ip", "link", "add", "one", "type", "bridge"]).code == 0


def test_a_node_that_asks_has_it(lab: LinuxLab) -> None:
    for status in _statuses(lab, "clock"):
        assert _of(status, "CapEff") & ONLY_ASKED == {"SYS_TIME", "MKNOD"}
    assert lab.exec("clock", ["mknod", "/tmp/null", "c", "1", "3"]).code == 0


def test_a_command_as_another_user_has_none_and_could_get_no_more(lab: LinuxLab) -> None:
    status = lab.exec("guest", ["cat", "/proc/self/status"]).out
    assert _of(status, "CapEff") == set()
    assert not _of(status, "CapBnd") & ONLY_ASKED


def test_what_the_host_cannot_give_is_refused_before_anything_is_made(
    describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "host_capabilities", lambda: ("NET_ADMIN",))
    topology = describe(NODES)
    with pytest.raises(RuntimeFailure, match="node clock asks by `cap-add` for SYS_TIME, which this host cannot give"):
        deploy(topology)
    assert traces(topology) == []
