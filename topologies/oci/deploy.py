"""Makes a lab: namespaces, links with their wires, containers. Whatever fails midway is taken back before the error leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from topologies.image.recipe import layers
from topologies.model import Topology
from topologies.oci import containers, links, netns
from topologies.oci.accounting import prefer
from topologies.oci.destroy import destroy
from topologies.oci.lab import OciLab, ends_of, pairs_of
from topologies.oci.state import LabState, Places
from topologies.oci.wire import Wire
from topologies.runtime import LabExists, RuntimeFailure, Say

T = TypeVar("T")
# Before any interface exists: link-local addresses without waiting for duplicates that cannot be, and kept through a link's fall.
BASE_SYSCTLS = (
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.all.keep_addr_on_down", "1"),
    ("net.ipv6.conf.default.keep_addr_on_down", "1"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A lab and how long the runtime's own part took, seconds: until every container was there and let go."""

    lab: OciLab
    seconds: float


def _all(work: Callable[[T], object], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(work, items):
            pass


def _make(topology: Topology, places: Places) -> tuple[OciLab, float]:
    """The lab, and when it was whole (monotonic seconds): from then on its nodes' own work takes the CPU."""

    def namespace(node: str) -> None:
        netns.create(places.netns(node))
        links.write_sysctls(places.netns(node), [*BASE_SYSCTLS, *topology.nodes[node].sysctls.items()])

    places.netns("-").parent.mkdir()
    _all(namespace, topology.nodes)
    with containers.starting(topology, places, list(topology.nodes)) as started:
        lab = _wire_up(topology, places)
        started()
        prefer(topology.name)
        whole = time.monotonic()
    return lab, whole


def _wire_up(topology: Topology, places: Places) -> OciLab:
    """Links with their wires between namespaces that exist."""
    ends = ends_of(topology)
    handles = {node: os.open(places.netns(node), os.O_RDONLY) for node in topology.nodes}
    wire, programs = Wire.load()
    try:
        pairs: dict[str, list[tuple[links.End, links.End, int]]] = {}
        for a, b in pairs_of(topology):
            pairs.setdefault(a.node, []).append((a, b, handles[b.node]))
        _all(lambda node: links.make_links(places.netns(node), pairs[node]), pairs)
        lab = OciLab(topology, places, wire)
        places_of = [
            (e.index, lab.numbers[e.node], lab.numbers[p.node], p.index)
            for a, b in pairs_of(topology)
            for e, p in ((a, b), (b, a))
        ]
        if places_of:
            wire.place(places_of)
        wires = links.wire_requests(programs.program_fd("wire_in"), programs.program_fd("wire_out"))
        _all(lambda node: links.equip(places.netns(node), ends[node], wires), topology.nodes)
        _all(lambda node: links.bring_up(places.netns(node), ends[node]), topology.nodes)
    except BaseException:
        wire.close()
        raise
    finally:
        programs.close()
        for handle in handles.values():
            os.close(handle)
    return lab


def _make_root(places: Places) -> None:
    """The lab's directory. Another lab's end may remove their common parent in between: then it is made again."""
    while True:
        places.root.parent.mkdir(parents=True, exist_ok=True)
        try:
            places.root.mkdir()
        except FileNotFoundError:
            continue
        return


def _explain_existing(topology: Topology, places: Places) -> NoReturn:
    known = places.read()
    if known is not None and known.up:
        what = "is up already"
    elif known is not None and Path(f"/proc/{known.owner_pid}").exists():
        what = f"is being made by process {known.owner_pid}"
    else:
        what = "was left half made by a harness that was killed"
    raise LabExists(f"lab {topology.name} {what}; `nospof down {topology.name}` takes it down") from None


def _run_execs(lab: OciLab) -> None:
    """Each node's `exec` lines, as containerlab runs them once the links are there."""
    for node in lab.topology.nodes.values():
        for command in node.exec:
            done = lab.exec(node.name, ["sh", "-c", command])
            if done.code != 0:
                raise RuntimeFailure(f"node {node.name}: exec `{command}` ended with {done.code}: {done.err.strip()}")


def deploy(topology: Topology, *, say: Say = lambda _: None) -> Deployed:
    """The topology as a running lab. Images are built first, where the cache has none.

    Raises LabExists, ImageError, RuntimeFailure; in each case nothing of this attempt is left on the host.
    """
    places = Places(topology.name)
    for image in {node.image for node in topology.nodes.values()}:
        layers(image, say)
    try:
        _make_root(places)
    except FileExistsError:
        _explain_existing(topology, places)
    state = LabState(topology.name, str(Path(topology.path).resolve()), os.getpid(), tuple(topology.nodes))
    began = time.monotonic()
    try:
        places.write(state)
        lab, whole = _make(topology, places)
        _run_execs(lab)
        places.write(LabState(state.name, state.topology, state.owner_pid, state.nodes, True, lab.wire.ids()))
    except BaseException as error:
        destroy(topology.name)
        if isinstance(error, OSError):
            raise RuntimeFailure(str(error)) from error
        raise
    return Deployed(lab, whole - began)
