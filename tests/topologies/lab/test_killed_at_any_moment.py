"""A harness killed with SIGKILL at any moment, of a deploy or of a fault, leaves nothing that `down` does not take off the host."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.probes.conftest import wait_until, wait_until_ns
from tests.topologies.lab.conftest import PAIR, Describe, both_runtimes
from tests.topologies.lab.host import held_namespaces, traces
from topologies.containerlab.containers import engine, of_lab
from topologies.model import Topology
from topologies.runtime import NoSuchLab
from topologies.runtimes import destroy

pytestmark = [pytest.mark.lab, both_runtimes]
ROOT = Path(__file__).resolve().parents[3]
MS = 1_000_000
LONGEST = {"oci": 600, "containerlab": 5_000}
"""Milliseconds of a deployment of two nodes, with room: a moment behind its end hits a lab that is up."""
EXAMPLES = {"oci": 20, "containerlab": 6}

HARNESS = """\
import sys
from pathlib import Path
from topologies.impairment import Impairment
from topologies.runtimes import deploy
from topologies.source import load_topology

topology = load_topology(Path(sys.argv[1]), None)
print("begins", flush=True)
lab = deploy(topology, runtime=sys.argv[2]).lab
link = topology.links[0]
print("up", flush=True)
while True:
    lab.kill(["a"])
    lab.restart(["a"])
    lab.cut_link(link)
    lab.mend_link(link)
    lab.impair(link, Impairment(delay_ns=1_000_000, rate=1_000_000))
    lab.drop_carrier(link)
    lab.raise_carrier(link)
    lab.heal_impairment(link)
"""


def _wires(lab: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"/{lab}/wires/" in process.read_text():
                found.append(f"wire {process.parent.name}")
    return found


def _of_docker(lab: str, runtime: str) -> list[str]:
    if runtime == "oci":
        return []
    with engine() as client:
        containers = [f"container {node}" for node in of_lab(client, lab)]
    hosts = [f"/etc/hosts names {lab}"] if re.search(rf"\b{lab}\b", Path("/etc/hosts").read_text()) else []
    return [*containers, *hosts]


def _links() -> set[str]:
    """Interfaces of the host's own namespace, by name."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def _kill_at(topology: Topology, runtime: str, begin: str, moment_ms: int) -> None:
    """Starts a harness, and kills it so many milliseconds after it said that word. Returns when it is gone."""
    command = [sys.executable, "-c", HARNESS, str(topology.path), runtime]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as harness:
        assert harness.stdout is not None
        while (said := harness.stdout.readline().strip()) != begin:
            assert said, "the harness ended by itself"
        wait_until_ns(time.monotonic_ns() + moment_ms * MS)
        harness.kill()
        assert harness.wait(timeout=10) == -signal.SIGKILL


def _taken_down(topology: Topology, runtime: str, links: set[str]) -> None:
    namespaces: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError):
        namespaces = held_namespaces(topology.name)
    host = Path("/proc/self/ns/net").stat().st_ino
    with contextlib.suppress(NoSuchLab):  # killed before there was anything
        destroy(topology.name)
    held = {node: inode for node, inode in namespaces.items() if inode != host}
    assert traces(topology, namespaces=held) + _wires(topology.name) + _of_docker(topology.name, runtime) == []
    try:
        wait_until(lambda: _links() <= links, "the end of interfaces on the host")
    except AssertionError as late:
        raise AssertionError(f"{late}: {sorted(_links() - links)}") from late


def _moments(runtime: str, describe: Describe, begin: str, longest_ms: int) -> None:
    @settings(max_examples=EXAMPLES[runtime], deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(moment_ms=st.integers(0, longest_ms))
    def any_moment(moment_ms: int) -> None:
        topology, links = describe(PAIR), _links()
        _kill_at(topology, runtime, begin, moment_ms)
        _taken_down(topology, runtime, links)

    any_moment()


def test_killed_at_any_moment_of_a_deploy(describe: Describe, runtime: str) -> None:
    _moments(runtime, describe, "begins", LONGEST[runtime])


def test_killed_at_any_moment_of_a_fault(describe: Describe, runtime: str) -> None:
    _moments(runtime, describe, "up", 1_500)
