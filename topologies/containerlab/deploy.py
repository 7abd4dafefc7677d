"""Makes a lab with containerlab and Docker, and takes it into our hands. What fails midway is taken back before the error leaves."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from msgspec import structs

from topologies.containerlab import containers, tool
from topologies.containerlab.adopt import hold
from topologies.containerlab.destroy import destroy
from topologies.containerlab.images import provide
from topologies.containerlab.lab import ContainerlabLab
from topologies.linux.claim import claim, taken_back
from topologies.linux.lab import Deployed
from topologies.linux.state import LabState, Places
from topologies.linux.wire import Wire
from topologies.model import Topology
from topologies.runtime import LabExists, RuntimeFailure, Say


def deploy(topology: Topology, *, say: Say = lambda _: None) -> Deployed:
    """The topology as a running lab. Images of ours are brought into Docker first.

    Raises LabExists, ImageError, RuntimeMissing, RuntimeFailure; in each case nothing of this attempt is left on the host.
    """
    places = Places(topology.name)
    tool.version()
    with containers.engine() as client:
        _refuse_foreign(sorted(containers.of_lab(client, topology.name)), places)
        for image in sorted({node.image for node in topology.nodes.values()}):
            provide(client, image, say)
    claim(places)
    path, variables = Path(topology.path).resolve(), dict(topology.variables)
    state = LabState(
        topology.name,
        str(path),
        os.getpid(),
        tuple(topology.nodes),
        runtime="containerlab",
        variables=variables,
        host_links=tuple(name for _, name in socket.if_nameindex()),
    )
    began = time.monotonic()
    with taken_back(topology.name, destroy):
        places.write(state)
        tool.deploy(path, places.root)
        lab, programs = _adopt(topology, places)
        lab.say = say
        whole = time.monotonic()
        places.write(structs.replace(state, up=True, map_ids=lab.wire.ids(), program_ids=programs))
    return Deployed(lab, whole - began)


def _refuse_foreign(nodes: list[str], places: Places) -> None:
    if nodes and not places.root.exists():
        raise LabExists(
            f"lab {places.lab} was deployed by containerlab itself (containers of {', '.join(nodes[:4])}); "
            f"`containerlab destroy --name {places.lab}` takes it down"
        )


def _adopt(topology: Topology, places: Places) -> tuple[ContainerlabLab, tuple[int, int]]:
    with containers.engine() as client:
        found = containers.of_lab(client, topology.name)
        for node in topology.nodes:
            if node not in found:
                raise RuntimeFailure(f"node {node} has no container, although containerlab deployed the lab")
            hold(places, node, containers.running(node, found[node]).pid)
    wire, loaded = Wire.load()
    try:
        fds = os.dup(loaded.program_fd("wire_in")), os.dup(loaded.program_fd("wire_out"))
        lab = ContainerlabLab(topology, places, wire, fds)
        lab.place_ends()
        for node in topology.nodes:
            lab.equip(node)
        return lab, (loaded.program_id("wire_in"), loaded.program_id("wire_out"))
    except BaseException:
        wire.close()
        raise
    finally:
        loaded.close()
