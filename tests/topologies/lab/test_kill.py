"""A killed node is silent to the last frame, although its kernel would go on; restarted, it is as it was."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import CHAIN, Describe, Up, both_runtimes
from tests.topologies.lab.frames import Capture, ethernet, send_connected, send_raw, udp_packet
from tests.topologies.lab.host import ping
from topologies.linux import links
from topologies.linux.netns import inside
from topologies.linux.wire import CUT_OUT
from topologies.runtime import RuntimeFailure
from topologies.runtimes import LinuxLab

pytestmark = [pytest.mark.lab, both_runtimes]
PORT = 4000
FRAMES = 200
ORPHAN_RETRIES = Path("/proc/sys") / links.ORPHAN_RETRIES.replace(".", "/")
A, B = ("10.0.1.1", PORT), ("10.0.2.1", PORT)


@pytest.fixture
def chain(describe: Describe, up: Up) -> LinuxLab:
    """a – r – b, with r forwarding in its kernel alone; shown to carry packets."""
    lab = up(describe(CHAIN))
    assert ping(lab, "a", B[0], count=3)
    return lab


def _cut_frames(lab: LinuxLab, node: str) -> int:
    return lab.wire.cut_frames(lab.numbers[node])


def _frame_from_r(lab: LinuxLab) -> bytes:
    mac = {(end.node, end.interface): end.mac for ends in lab.ends.values() for end in ends}
    return ethernet(mac["b", "eth1"], mac["r", "eth2"], udp_packet(A, B))


def test_not_one_frame_leaves_a_killed_node(chain: LinuxLab) -> None:
    chain.kill(["r"])
    received, dropped = chain.frames_from(["r"]), {node: _cut_frames(chain, node) for node in "arb"}
    with Capture(chain.netns("a")) as at_a, Capture(chain.netns("b")) as at_b:
        send_connected(chain.netns("a"), A, B, each=FRAMES)
        send_connected(chain.netns("b"), B, A, each=FRAMES)
        send_raw(chain.netns("r"), "eth2", _frame_from_r(chain), count=FRAMES)
        wait_until(
            lambda: all(_cut_frames(chain, node) - dropped[node] >= FRAMES for node in "arb"),
            "the cut of every frame that was sent",
        )
        assert at_a.frames() == []
        assert at_b.frames() == []
    assert chain.frames_from(["r"]) == received, "by the neighbours' interface counters too"
    assert not ping(chain, "a", "10.0.1.2")


def test_a_node_without_processes_would_still_forward(chain: LinuxLab) -> None:
    """Why a kill cuts links first; and that the captures above would have seen a frame."""
    instant = chain.kill(["r"])
    assert chain.pids("r") == {}
    assert instant.before_ns <= instant.after_ns
    chain.wire.join_nodes([chain.numbers["r"]])
    with Capture(chain.netns("b")) as at_b:
        before = chain.frames_from(["r"])
        send_connected(chain.netns("a"), A, B, each=FRAMES)
        wait_until(lambda: at_b.udp(PORT)["eth1"] == FRAMES, "frames through a kernel that forwards by itself")
        send_raw(chain.netns("r"), "eth2", _frame_from_r(chain), count=FRAMES)
        wait_until(lambda: at_b.udp(PORT)["eth1"] == 2 * FRAMES, "frames sent into the node's own interface")
    assert chain.frames_from(["r"]) - before >= 2 * FRAMES


def test_a_kill_is_total_and_touches_no_other_node(chain: LinuxLab) -> None:
    others = {node: chain.pids(node) for node in "ab"}
    snapshots = chain.snapshots(["a", "b"])
    assert "sleep" in chain.pids("r").values()
    chain.kill(["r"])
    assert chain.pids("r") == {}
    assert chain.init_pid("r") is None
    assert {node: chain.pids(node) for node in "ab"} == others
    # Silent: carrier stays, as behind a switch; only the frames are gone.
    assert chain.snapshots(["a", "b"]) == snapshots
    with pytest.raises(RuntimeFailure, match="node r"):
        chain.exec("r", ["true"])


# Accepts one connection and holds it until it is killed; the test's own process is none of the node's.
SERVER = """
import socket
server = socket.create_server(("10.0.2.1", 5000))
print("listening", flush=True)
kept = server.accept()
kept[0].send(b"kept")
kept[0].recv(1)
"""
SENDING_FIN = {"04", "09", "0B"}
"""States of proc(5)'s net/tcp."""


def _orphans(lab: LinuxLab, node: str) -> list[str]:
    rows = inside(lab.netns(node), Path("/proc/thread-self/net/tcp").read_text).splitlines()[1:]
    return [row for row in rows if row.split()[3] in SENDING_FIN]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_killed_node_forgets_its_connections_as_a_machine_does_that_is_switched_off(
    describe: Describe, up: Up, at_once: bool
) -> None:
    """Its kernel goes on, and would send a FIN for a minute: a client would hear of it as soon as the node is back."""
    own = "3" if at_once else "0"  # of the file, or the kernel's
    lab = up(describe(CHAIN.replace("b: {exec", f'b: {{sysctls: {{{links.ORPHAN_RETRIES}: "{own}"}}, exec')))
    argv = ["nsenter", f"--net={lab.netns('b')}", sys.executable, "-c", SERVER]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        with inside(lab.netns("a"), lambda: socket.create_connection((B[0], 5000), timeout=5)) as client:
            assert client.recv(4) == b"kept"
            lab.kill(["b"])
            server.wait()
            assert inside(lab.netns("b"), ORPHAN_RETRIES.read_text) == "1\n"
            if not at_once:
                assert _orphans(lab, "b"), "a killed process's kernel goes on"
                wait_until(lambda: not _orphans(lab, "b"), "the end of what the killed process left")
            lab.restart(["b"])
            assert inside(lab.netns("b"), ORPHAN_RETRIES.read_text) == f"{own}\n", "as it was"
            assert ping(lab, "a", B[0], count=3)
            client.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.recv(1)  # nobody tells it
            client.settimeout(5)
            client.send(b"?")
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_nodes_killed_together_go_silent_together_and_come_back_together(chain: LinuxLab) -> None:
    before = chain.snapshots(["a", "r", "b"])
    chain.kill(["r", "b"])
    assert chain.pids("r") == chain.pids("b") == {}
    assert not ping(chain, "a", "10.0.1.2")
    chain.restart(["r", "b"])
    assert chain.snapshots(["a", "r", "b"]) == before
    assert ping(chain, "a", B[0], count=3)


def test_a_restarted_node_is_as_it_was(chain: LinuxLab) -> None:
    before = chain.snapshots(["a", "r", "b"])
    pids = chain.pids("r")
    chain.kill(["r"])
    chain.restart(["r"])
    assert chain.snapshots(["a", "r", "b"]) == before
    wait_until(lambda: "sleep" in chain.pids("r").values(), "the restarted node's command")
    assert not chain.pids("r").keys() & pids.keys()
    assert chain.exec("r", ["hostname"]).out == "r\n"
    assert ping(chain, "a", B[0], count=3)
    assert _frames_cut_by_pings(chain) == 0


def _frames_cut_by_pings(lab: LinuxLab) -> int:
    before = sum(_cut_frames(lab, node) for node in "arb")
    assert ping(lab, "b", A[0], count=5)
    return sum(_cut_frames(lab, node) for node in "arb") - before


def test_routes_of_a_dead_daemon_do_not_outlive_it_and_the_files_do(describe: Describe, up: Up) -> None:
    line = "ip address add 10.0.2.2/24 dev eth2]"
    chain = up(describe(CHAIN.replace(line, f"{line[:-1]}, ip route add 198.51.100.6/32 via {B[0]} proto static]")))
    added = chain.exec("r", ["ip", "route", "add", "198.51.100.3/32", "via", B[0], "proto", "bgp"])
    assert added.code == 0, added.err
    chain.kill(["r"])
    assert any("198.51.100.3/" in route for route in chain.snapshot("r")), "a killed node's kernel keeps its routes"
    chain.restart(["r"])
    lines = chain.snapshot("r")
    assert not any("198.51.100.3/" in line for line in lines), "the daemon's went with it"
    assert any("198.51.100.6/" in line for line in lines), "the file's is there"


def test_one_direction_of_one_end_can_be_cut(chain: LinuxLab) -> None:
    (towards_b,) = [end.number for end in chain.ends["r"] if end.interface == "eth2"]
    with Capture(chain.netns("a")) as at_a, Capture(chain.netns("b")) as at_b:
        chain.wire.cut_ends([towards_b], CUT_OUT)
        dropped = _cut_frames(chain, "r")
        send_connected(chain.netns("a"), A, B, each=FRAMES)
        send_connected(chain.netns("b"), B, A, each=FRAMES)
        wait_until(lambda: at_a.udp(PORT)["eth1"] == FRAMES, "the direction that is not cut")
        wait_until(lambda: _cut_frames(chain, "r") - dropped >= FRAMES, "the frames that are")
        assert at_b.udp(PORT)["eth1"] == 0
    chain.wire.cut_ends([towards_b], 0)
    assert ping(chain, "a", B[0], count=3)
