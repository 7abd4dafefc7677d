"""Makes a lab: namespaces, links with their wires, containers. Whatever fails midway is taken back before the error leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from topologies.image.recipe import layers
from topologies.linux import links, netns
from topologies.linux.claim import claim, taken_back
from topologies.linux.ends import End
from topologies.linux.lab import Deployed
from topologies.linux.mgmt import build_house, connect
from topologies.linux.state import LabState, Places
from topologies.linux.wire import Wire
from topologies.model import Topology
from topologies.oci import containers
from topologies.oci.destroy import destroy
from topologies.oci.lab import OciLab
from topologies.oci.ordering import Ordering
from topologies.runtime import Say

T = TypeVar("T")


def _all(work: Callable[[T], object], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(work, items):
            pass


def _make(topology: Topology, places: Places, say: Say) -> tuple[OciLab, float]:
    """The lab, and when it was whole (monotonic seconds): from then on its nodes' own work takes the CPU."""

    def namespace(node: str) -> None:
        netns.create(places.netns(node))
        links.write_sysctls(places.netns(node), [*links.BASE_SYSCTLS, *topology.nodes[node].sysctls.items()])

    places.netns("-").parent.mkdir()
    _all(namespace, topology.nodes)
    if topology.mgmt:
        build_house(topology, places)
    if any(node.stages or node.startup_delay for node in topology.nodes.values()):
        lab = _wire_up(topology, places)
        lab.say = say
        Ordering(lab, lambda node: containers.run_one(topology, places, node), containers.STARTERS, say).run()
        return lab, time.monotonic()
    with containers.starting(topology, places, list(topology.nodes)) as started:
        lab = _wire_up(topology, places)
        started()
        whole = time.monotonic()
    lab.say = say
    lab.run_execs(list(topology.nodes))
    return lab, whole


def _wire_up(topology: Topology, places: Places) -> OciLab:
    """Links with their wires between namespaces that exist."""
    wire, programs = Wire.load()
    handles: dict[str, int] = {}
    try:
        lab = OciLab(topology, places, wire)
        ends = lab.all_ends()
        handles |= {place: os.open(places.netns(place), os.O_RDONLY) for place in ends}
        pairs: dict[str, list[tuple[End, End, int]]] = {}
        for a, b in [*lab.pairs(), *lab.mgmt]:
            pairs.setdefault(a.node, []).append((a, b, handles[b.node]))
        _all(lambda node: links.make_links(places.netns(node), pairs[node]), pairs)
        lab.place_ends()
        wires = links.wire_requests(programs.program_fd("wire_in"), programs.program_fd("wire_out"))
        _all(lambda place: links.equip(places.netns(place), ends[place], wires), ends)
        _all(lambda place: links.bring_up(places.netns(place), ends[place]), ends)
        if lab.mgmt:
            connect(topology, places, lab.mgmt)
    except BaseException:
        wire.close()
        raise
    finally:
        programs.close()
        for handle in handles.values():
            os.close(handle)
    return lab


def deploy(topology: Topology, *, say: Say = lambda _: None) -> Deployed:
    """The topology as a running lab. Images are built first, where the cache has none.

    Raises LabExists, ImageError, RuntimeFailure; in each case nothing of this attempt is left on the host.
    """
    places = Places(topology.name)
    containers.refuse_capabilities(topology)
    for image in {node.image for node in topology.nodes.values()}:
        layers(image, say)
    claim(places)
    path, variables = str(Path(topology.path).resolve()), dict(topology.variables)
    state = LabState(topology.name, path, os.getpid(), tuple(topology.nodes), variables=variables)
    began = time.monotonic()
    with taken_back(topology.name, destroy):
        places.write(state)
        lab, whole = _make(topology, places, say)
        places.write(structs.replace(state, up=True, map_ids=lab.wire.ids()))
    return Deployed(lab, whole - began)
