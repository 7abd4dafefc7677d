"""Small labs for tests, each with a name of its own, and none left when its test ends."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from topologies.model import Topology
from topologies.oci.deploy import deploy
from topologies.oci.destroy import destroy
from topologies.oci.lab import OciLab
from topologies.runtime import NoSuchLab
from topologies.source import load_topology

Describe = Callable[[str], Topology]
Up = Callable[[Topology], OciLab]
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

    def described(body: str) -> Topology:
        name = f"test-{os.getpid()}-{next(_numbers)}"
        names.append(name)
        path = tmp_path / f"{name}.clab.yml"
        defaults = "{kind: linux, image: nospof/base:latest, network-mode: none, cmd: sleep infinity}"
        path.write_text(f"name: {name}\ntopology:\n  defaults: {defaults}\n{body}")
        return load_topology(path)

    yield described
    for name in names:
        with suppress(NoSuchLab):
            destroy(name)


@pytest.fixture
def up() -> Iterator[Up]:
    """Deploys a topology and closes the lab's maps at the end; taking it down is for `describe`."""
    opened: list[OciLab] = []

    def started(topology: Topology) -> OciLab:
        opened.append(deploy(topology).lab)
        return opened[-1]

    yield started
    for lab in opened:
        lab.close()
