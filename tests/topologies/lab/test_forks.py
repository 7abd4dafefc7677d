"""Processes that fork without pause: none survives a kill, a crash or a freeze of what it is, and nobody else is hit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import PAIR, Describe, Up, both_runtimes
from tests.topologies.lab.host import traces
from topologies.linux.freezer import held_still
from topologies.runtimes import LinuxLab, destroy

pytestmark = [pytest.mark.lab, both_runtimes]
# Each lives for a moment and leaves the next: a list of them is old before it is read.
CHAIN = """
import os, time
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
"""
# A hundred a second, each of which leaves one more: some hundred at a time, at little cost to who shares the host.
BOMB = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.fork() == 0:
        time.sleep(0.2)
        os.fork()
        time.sleep(0.2)
        os._exit(0)
    time.sleep(0.01)
"""


def _set_off(lab: LinuxLab, node: str, program: str, name: str, least: int) -> None:
    """Runs it in the node in the background, as `name`, until there are so many."""
    named = f"open('/proc/self/comm', 'w').write({name!r})\n{program}"
    done = lab.exec(node, ["sh", "-c", 'setsid python3 -c "$0" </dev/null >/dev/null 2>&1 &', named])
    assert done.code == 0, done.err
    wait_until(lambda: len(lab.processes(node, name)) >= least, f"{least} of {name}")


@pytest.fixture
def lab(describe: Describe, up: Up) -> LinuxLab:
    return up(describe(PAIR))


@pytest.mark.parametrize(("program", "least"), [(CHAIN, 1), (BOMB, 30)], ids=["chain", "bomb"])
def test_a_kill_ends_them_all(lab: LinuxLab, program: str, least: int) -> None:
    _set_off(lab, "a", program, "forker", least)
    others = lab.pids("b")
    lab.kill(["a"])
    assert lab.pids("a") == {}
    assert lab.pids("b") == others
    lab.restart(["a"])
    assert lab.processes("a", "forker") == ()


@pytest.mark.parametrize(("program", "least"), [(CHAIN, 1), (BOMB, 30)], ids=["chain", "bomb"])
def test_a_crash_by_name_ends_them_all_and_nobody_else(lab: LinuxLab, program: str, least: int) -> None:
    _set_off(lab, "a", program, "forker", least)
    others = {pid for pid, name in lab.pids("a").items() if name != "forker"}
    assert lab.signal("a", "forker", signal.SIGKILL)
    wait_until(lambda: not lab.processes("a", "forker"), "the end of every forker", 2)
    assert lab.pids("a").keys() == others


@pytest.mark.parametrize(("program", "least"), [(CHAIN, 1), (BOMB, 30)], ids=["chain", "bomb"])
def test_a_freeze_stops_them_all_and_they_go_on_afterwards(lab: LinuxLab, program: str, least: int) -> None:
    _set_off(lab, "a", program, "forker", least)
    lab.freeze(["a"])
    stopped = lab.pids("a")
    assert all(map(lab.stopped, stopped))
    assert lab.pids("a") == stopped, "nobody was forked since"
    lab.thaw(["a"])
    assert not any(map(lab.stopped, lab.pids("a")))
    if program is CHAIN:
        wait_until(lambda: not lab.pids("a").keys() <= stopped.keys(), "the next of the chain")


def test_a_node_that_was_left_held_still_can_be_taken_down(lab: LinuxLab) -> None:
    """A harness that is killed in that moment leaves it so, and what stands still is not ended by a signal."""
    pids = list(lab.pids("a"))
    left = held_still(pids)
    left.__enter__()
    assert all(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D" for pid in pids[:1])
    lab.close()
    destroy(lab.topology.name)
    assert traces(lab.topology) == []
