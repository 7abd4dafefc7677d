"""What containerlab made on the host for a lab and had not moved into its nodes goes with the lab; what was there before stays."""

from __future__ import annotations

import socket
import subprocess

import pytest
from msgspec import structs

from tests.topologies.lab.conftest import PAIR, Describe, require_containerlab
from topologies.linux.state import LabState, Places
from topologies.runtimes import destroy

pytestmark = pytest.mark.lab


def _links() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def test_links_that_containerlab_left_on_the_host_go_and_older_ones_stay(describe: Describe) -> None:
    require_containerlab()
    topology, (older, newer) = describe(PAIR), ("clab-0" + "0123456", "clab-0" + "abcdef0")
    places = Places(topology.name)
    subprocess.run(["ip", "link", "add", older, "type", "veth", "peer", "name", f"{older[:-1]}f"], check=True)
    try:
        places.root.mkdir(parents=True)
        state = LabState(topology.name, str(topology.path), 1, ("a", "b"), runtime="containerlab")
        places.write(structs.replace(state, host_links=tuple(_links())))
        subprocess.run(["ip", "link", "add", newer, "type", "veth", "peer", "name", f"{newer[:-1]}f"], check=True)
        destroy(topology.name)
        assert not {newer, f"{newer[:-1]}f"} & _links()
        assert older in _links()
    finally:
        subprocess.run(["ip", "link", "del", older], check=True)
