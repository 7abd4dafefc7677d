"""Small labs for tests, each with a name of its own, and none left when its test ends."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from topologies.containerlab import tool
from topologies.containerlab.containers import engine
from topologies.model import Topology
from topologies.runtime import NoSuchLab, RuntimeMissing
from topologies.runtimes import LinuxLab, deploy, destroy
from topologies.source import load_topology

Describe = Callable[..., Topology]
Up = Callable[[Topology], LinuxLab]
_numbers = itertools.count()

PAIR = """\
  nodes:
    a: {exec: [ip address add 10.0.0.1/24 dev eth1]}
    b: {exec: [ip address add 10.0.0.2/24 dev eth1]}
  links:
    - {endpoints: [a:eth1, b:eth1], mtu: 1500}
"""
CHAIN = """\
  nodes:
    a: {exec: [ip address add 10.0.1.1/24 dev eth1, ip route add default via 10.0.1.2]}
    r:
      sysctls: {net.ipv4.ip_forward: "1"}
      exec: [ip address add 10.0.1.2/24 dev eth1, ip address add 10.0.2.2/24 dev eth2]
    b: {exec: [ip address add 10.0.2.1/24 dev eth1, ip route add default via 10.0.2.2]}
  links:
    - {endpoints: [a:eth1, r:eth1], mtu: 1500}
    - {endpoints: [r:eth2, b:eth1], mtu: 1500}
"""


@pytest.fixture
def describe(tmp_path: Path) -> Iterator[Describe]:
    """Writes and reads a topology from its nodes and links; whatever was deployed of it is taken down at the end."""
    names: list[str] = []

    def described(body: str, *, managed: bool = False) -> Topology:
        name = f"test-{os.getpid()}-{next(_numbers)}"
        names.append(name)
        path = tmp_path / f"{name}.clab.yml"
        mode = "" if managed else "network-mode: none, "
        defaults = f"{{kind: linux, image: nospof/base:latest, {mode}cmd: sleep infinity}}"
        path.write_text(f"name: {name}\ntopology:\n  defaults: {defaults}\n{body}")
        return load_topology(path)

    yield described
    for name in names:
        with suppress(NoSuchLab):
            destroy(name)


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> str:
    """What runs the nodes. Tests of what is the same on both say `both_runtimes`; the others are of our own one."""
    name = str(getattr(request, "param", "oci"))
    if name == "containerlab":
        require_containerlab()
    return name


both_runtimes = pytest.mark.parametrize("runtime", ["oci", "containerlab"], indirect=True)


def require_containerlab() -> None:
    """Skips the test where containerlab or Docker is missing, with the reason; CI has both, and fails."""
    try:
        tool.version()
        with engine():
            pass
    except RuntimeMissing as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@pytest.fixture
def up(runtime: str) -> Iterator[Up]:
    """Deploys a topology and closes the lab's maps at the end; taking it down is for `describe`."""
    opened: list[LinuxLab] = []

    def started(topology: Topology) -> LinuxLab:
        opened.append(deploy(topology, runtime=runtime).lab)
        return opened[-1]

    yield started
    for lab in opened:
        lab.close()
