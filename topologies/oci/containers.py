"""Containers of a lab through runc: bundles written, root file systems stacked, all started in parallel behind one gate."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec

from topologies.capabilities import beyond, granted, of_bits
from topologies.image import store
from topologies.image.native import compile_program
from topologies.image.recipe import layers
from topologies.linux import netns
from topologies.linux.mgmt import hosts_of
from topologies.linux.state import Places
from topologies.model import Topology
from topologies.oci.accounting import share
from topologies.oci.bundle import OURS, config_of, process_of
from topologies.oci.emptied import EMPTIED, emptied
from topologies.oci.users import look_up
from topologies.runtime import RuntimeFailure

STARTERS = 2 * (os.cpu_count() or 1)


@lru_cache
def host_capabilities() -> tuple[str, ...]:
    """What this process's bounding set has: asking for another makes runc fail."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("CapBnd:"))
    return of_bits(int(line.split()[1], 16))


def refuse_capabilities(topology: Topology) -> None:
    """Raises RuntimeFailure for a node that asks for what this host cannot give."""
    for node in topology.nodes.values():
        if missing := beyond(host_capabilities(), node.capabilities):
            raise RuntimeFailure(f"node {node.name} asks by `cap-add` for {missing[0]}, which this host cannot give us")


@lru_cache
def init_program() -> Path:
    """The static program that is every node's first process."""
    return compile_program(Path(__file__).with_name("init.c"))


def _stack(topology: Topology, places: Places, node: str, image: str) -> None:
    """The node's own writable layer over the image's shared ones."""
    bundle = places.bundle(node)
    for name in ("upper", "work", "rootfs"):
        (bundle / name).mkdir(parents=True, exist_ok=True)
    if os.path.ismount(places.rootfs(node)):
        return
    hosts = bundle / "upper/etc/hosts"
    hosts.parent.mkdir(exist_ok=True)
    hosts.write_text(hosts_of(topology, node))
    lower = ":".join(str(path) for path in layers(image))
    netns.mount(
        "overlay",
        str(places.rootfs(node)),
        "overlay",
        0,
        f"lowerdir={lower},upperdir={bundle}/upper,workdir={bundle}/work",
    )


def _run(topology: Topology, places: Places, node: str, *, apart: bool = False) -> None:
    spec = topology.nodes[node]
    _stack(topology, places, node, spec.image)
    bundle = places.bundle(node)
    brought = store.find(spec.image)
    image = brought.config if brought else OURS
    try:
        user = look_up(spec.user or image.user, [places.rootfs(node)])
    except RuntimeFailure as error:
        raise RuntimeFailure(f"node {node}: {error}") from error
    config = config_of(
        spec,
        process_of(topology, spec, image),
        rootfs=places.rootfs(node),
        netns=places.netns(node),
        gate=places.gate,
        init=init_program(),
        cgroup=f"{places.cgroup}/{node}",
        capabilities=granted(host_capabilities(), spec.capabilities),
        user=user,
        fresh=emptied(brought.root) if brought else EMPTIED,
    )
    (bundle / "config.json").write_bytes(msgspec.json.encode(config))
    shutil.rmtree(places.runc / node, ignore_errors=True)  # what runc remembers of a killed predecessor
    command = [
        "runc",
        "--root",
        str(places.runc),
        "run",
        "--detach",
        "--pid-file",
        str(places.pid(node)),
        "--bundle",
        str(bundle),
        node,
    ]
    with (bundle / "log").open("ab") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        tail = (bundle / "log").read_text(errors="replace").splitlines()[-3:]
        raise RuntimeFailure(f"node {node}: runc ended with {done.returncode}: {' / '.join(tail)}")
    if spec.limits.cpus is None and not apart:
        share(topology.name, node)


@contextmanager
def starting(
    topology: Topology, places: Places, nodes: Sequence[str], *, apart: bool = False
) -> Iterator[Callable[[], None]]:
    """Starts the nodes while the caller makes what they need; they go to work when the block ends, behind one gate, since none
    that starts early may take CPU from the others' starting. The block is given a function that returns when every container
    exists; it raises RuntimeFailure naming the node that does not."""
    with places.gate.open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        with ThreadPoolExecutor(STARTERS) as pool:
            started = [pool.submit(_run, topology, places, node, apart=apart) for node in nodes]

            def wait() -> None:
                for one in started:
                    one.result()

            try:
                yield wait
            except BaseException:
                pool.shutdown(cancel_futures=True)  # the rest would hold up taking back what there is
                raise


def run_one(topology: Topology, places: Places, node: str) -> None:
    """Starts one node, whose links are there already. Raises RuntimeFailure."""
    places.gate.touch()
    _run(topology, places, node)


def run_apart(topology: Topology, places: Places, nodes: Sequence[str]) -> None:
    """Starts the nodes, whose links are there already, each weighed as a single process: one that boots wants seconds of CPU, and
    those beside it serve. `share` makes them like the others."""
    with starting(topology, places, nodes, apart=True) as wait:
        wait()
