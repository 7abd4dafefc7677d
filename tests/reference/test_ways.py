"""What the reference's routers know of each other, in the whole reference itself: agents rely on ways that no session shows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from topologies.oci.deploy import deploy
from topologies.oci.destroy import destroy
from topologies.oci.lab import OciLab
from topologies.reference.generate import TOPOLOGIES
from topologies.source import load_topology

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[OciLab]:
    """The reference under another name, as it comes up."""
    name = f"ways-{os.getpid()}"
    shutil.copytree(TOPOLOGIES / "reference", tmp_path / "reference")
    path = tmp_path / "reference/reference.clab.yml"
    path.write_text(path.read_text().replace("name: reference\n", f"name: {name}\n"))
    lab = deploy(load_topology(path)).lab
    try:
        yield lab
    finally:
        lab.close()
        destroy(name)


def test_every_l7_node_has_a_way_to_those_whom_it_passes_strangers_packets_on_to(reference: OciLab) -> None:
    others = {
        node.name: json.loads(reference.exec(node.name, ["cat", "/etc/reference/l7.json"]).out)["others"]
        for node in reference.topology.nodes_with_role("l7")
    }
    assert all(others.values())

    def lost() -> list[str]:
        return [
            f"{node} to {address}"
            for node, addresses in others.items()
            for address in addresses
            if reference.exec(node, ["ip", "route", "get", address]).code != 0
        ]

    wait_until(lambda: not lost(), f"ways between L7 nodes: {lost()}", deadline_s=40)
