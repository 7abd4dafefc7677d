"""A harness killed at any moment leaves a lab that another process can take down, whatever was made of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import PAIR, Describe
from tests.topologies.lab.host import RUN, held_namespaces, ping, traces
from topologies.linux.state import Places
from topologies.model import Topology
from topologies.oci.deploy import deploy
from topologies.oci.destroy import destroy
from topologies.oci.lab import OciLab
from topologies.runtime import LabExists, NoSuchLab

pytestmark = pytest.mark.lab
ROOT = Path(__file__).resolve().parents[3]

HARNESS = """\
import os, signal, sys, threading
from pathlib import Path
from topologies.linux import links, netns
from topologies.oci import containers, deploy
from topologies.source import load_topology

calls = 0
def dying_at_the_second(work):
    def called(*arguments, **named):
        global calls
        calls += 1
        if calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # the signal may reach another thread first
        return work(*arguments, **named)
    return called

topology, module, step = sys.argv[1:]
if step:
    setattr(globals()[module], step, dying_at_the_second(getattr(globals()[module], step)))
deploy.deploy(load_topology(Path(topology)))
print("up", flush=True)
sys.stdin.read()
"""


def _harness(topology: Topology, module: str = "", step: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HARNESS, str(topology.path), module, step]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True)


def _ended_by_sigkill(harness: subprocess.Popen[str]) -> None:
    assert harness.wait(timeout=20) == -signal.SIGKILL
    for pipe in (harness.stdin, harness.stdout):
        if pipe:
            pipe.close()


def _down(topology: Topology) -> None:
    subprocess.run([sys.executable, "-m", "cli", "down", topology.name], cwd=ROOT, check=True, capture_output=True)


def test_a_lab_outlives_its_harness_and_another_process_takes_it_down(describe: Describe) -> None:
    topology = describe(PAIR)
    harness = _harness(topology)
    assert harness.stdout
    assert harness.stdout.readline() == "up\n"
    harness.kill()
    _ended_by_sigkill(harness)
    lab = OciLab.open(topology.name)
    assert ping(lab, "a", "10.0.0.2"), "nodes do not depend on who deployed them"
    namespaces, ids = held_namespaces(topology.name), list(lab.wire.ids().values())
    lab.close()

    _down(topology)

    assert traces(topology, namespaces=namespaces) == []
    wait_until(lambda: not traces(topology, map_ids=ids), "the end of its BPF maps")


@pytest.mark.parametrize(
    ("module", "step"),
    [
        ("netns", "create"),
        ("links", "write_sysctls"),
        ("links", "equip"),
        ("links", "bring_up"),
        ("containers", "_stack"),
        ("containers", "config_of"),
    ],
)
def test_a_harness_killed_at_any_step_of_a_deploy_is_cleaned_up_after(
    describe: Describe, module: str, step: str
) -> None:
    topology = describe(PAIR)
    _ended_by_sigkill(_harness(topology, module, step))
    assert traces(topology), "the kill must come midway"
    with pytest.raises(NoSuchLab):
        OciLab.open(topology.name)
    with pytest.raises(LabExists):
        deploy(topology)
    namespaces = held_namespaces(topology.name)
    host = Path("/proc/self/ns/net").stat().st_ino
    assert host not in namespaces.values()

    destroy(topology.name)

    assert traces(topology, namespaces=namespaces) == []
    with pytest.raises(NoSuchLab):
        destroy(topology.name)


def test_a_harness_killed_while_a_node_runs_an_exec_line_leaves_no_process(describe: Describe, tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    line = """'sh -c "touch /signs/here; sleep 1000"', """
    body = PAIR.replace("b: {exec: [", f"b: {{binds: ['{signs}:/signs'], exec: [{line}")
    topology = describe(body)
    harness = _harness(topology)
    wait_until((signs / "here").exists, "the exec line's sign")
    harness.kill()
    _ended_by_sigkill(harness)
    namespaces = held_namespaces(topology.name)

    _down(topology)

    assert traces(topology, namespaces=namespaces) == []


def test_a_lab_of_which_only_the_directory_was_made_is_cleaned_up(describe: Describe) -> None:
    """Killed between making the directory and writing the first byte of state."""
    topology = describe(PAIR)
    Places(topology.name).root.mkdir(parents=True)
    with pytest.raises(NoSuchLab):
        OciLab.open(topology.name)
    destroy(topology.name)
    assert not (RUN / topology.name).exists()
