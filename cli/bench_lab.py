"""`nospof bench lab`: how fast labs come and go, beside containerlab where it is installed."""

from __future__ import annotations

import contextlib
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import click
import msgspec

from cli.bench_munet import beside_munet
from cli.bench_reset import resets, twins
from cli.figures import Row, exit_code, row
from cli.lab import REFERENCE, served_first
from cli.outcome import HostFailure, console, print_json
from cli.rows import show
from topologies.containerlab import containers, tool
from topologies.containerlab.images import provide
from topologies.model import Topology
from topologies.runtime import NoSuchLab, RuntimeMissing
from topologies.runtimes import LinuxLab, deploy, destroy
from topologies.source import load_topology

AT_ONCE = 16
HEAD = "name: {name}\ntopology:\n  defaults: {{kind: linux, image: nospof/base:latest, network-mode: none}}\n"


@click.command("lab")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of each, interleaved.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
@served_first
def lab(rounds: int, as_json: bool) -> int:
    """Deploy and destroy labs, ours and containerlab's in turns, and print how long it took.

    The reference topology is deployed until every node answers a command, by our own runtime and, where it is installed, by
    containerlab with Docker; the same without programs, by ours and by munet; it is hurt and reset; two of it stand side by side;
    then labs of 30 nodes in a line, and of 300 bare ones. Exit code 1: a target was missed; 3: one was not measured, as where a
    peer is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="nospof-bench-") as scratch:
        rows = _against_containerlab(rounds, Path(scratch))
        rows += beside_munet(load_topology(REFERENCE), _ours, rounds, Path(scratch))
        one, other = (_renamed(REFERENCE, f"bench-{which}", Path(scratch)) for which in ("one", "other"))
        rows += [*resets(one, rounds), *twins(one, other), *_sizes(rounds, Path(scratch))]
    if as_json:
        host = {"kernel": platform.release(), "machine": platform.machine()}
        print_json({"host": host, "rounds": rounds, "rows": [msgspec.to_builtins(r) for r in rows]})
    else:
        show(rows)
    return exit_code(rows)


def _renamed(source: Path, name: str, scratch: Path) -> Topology:
    """A copy of a topology under another name, so that a lab that is up is left alone."""
    folder = scratch / name
    shutil.copytree(source.parent, folder)
    text = source.read_text()
    own = next(line for line in text.splitlines() if line.startswith("name:"))
    path = folder / source.name
    path.write_text(text.replace(own, f"name: {name}", 1))
    return load_topology(path)


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _answers(lab: LinuxLab) -> None:
    """Returns when every node has answered a command. Raises HostFailure for one that did not."""

    def ask(node: str) -> None:
        if lab.exec(node, ["true"]).code != 0:
            raise HostFailure(f"node {node} does not answer `true`")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(ask, lab.topology.nodes):
            pass


def _ours(topology: Topology) -> tuple[float, float]:
    """Seconds until every node answers, and until nothing is left."""

    def up() -> None:
        made = deploy(topology).lab
        try:
            _answers(made)
        finally:
            made.close()

    try:
        took = _timed(up)
    except BaseException:
        with contextlib.suppress(NoSuchLab):  # it did not come up at all
            destroy(topology.name)
        raise
    return took, _timed(lambda: destroy(topology.name))


def _theirs(topology: Topology, scratch: Path) -> tuple[float, float]:
    """The same by containerlab alone: none of our own work on it is timed."""

    def up() -> None:
        tool.deploy(topology.path, scratch)
        with containers.engine() as client, ThreadPoolExecutor(AT_ONCE) as pool:
            for done in pool.map(lambda c: c.exec_run(["true"]), containers.of_lab(client, topology.name).values()):
                if done.exit_code != 0:
                    raise HostFailure(f"a node of {topology.name} does not answer `true`: {done.output!r}")

    try:
        return _timed(up), _timed(lambda: tool.destroy(topology.name, scratch))
    finally:
        with containers.engine() as client:
            containers.remove_all(client, topology.name)


def _against_containerlab(rounds: int, scratch: Path) -> list[Row]:
    ours = _renamed(REFERENCE, "bench-ours", scratch)
    theirs: Topology | None = None
    name = None
    try:
        name = f"containerlab {'.'.join(map(str, tool.version()))}"
        with containers.engine() as client:
            for image in sorted({node.image for node in ours.nodes.values()}):
                provide(client, image)
        theirs = _renamed(REFERENCE, "bench-theirs", scratch)
    except RuntimeMissing as missing:
        console.print(f"not side by side: {missing}", markup=False, soft_wrap=True)
    _ours(ours)  # what is built and cached is not timed
    mine: list[tuple[float, float]] = []
    peer: list[tuple[float, float]] = []
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        mine.append(_ours(ours))
        if theirs:
            peer.append(_theirs(theirs, scratch))
    rows = []
    for at, what in enumerate(("deploy, until every node answers", "destroy")):
        own, other = median(times[at] for times in mine), median(t[at] for t in peer) if peer else None
        rows.append(
            Row(
                what=f"{what}, {len(ours.nodes)} nodes",
                ours=round(own, 3),
                unit="s",
                worst=round(max(times[at] for times in mine), 3),
                rounds=rounds,
                peer=None if other is None else round(other, 3),
                peer_name=name,
                ratio=None if other is None else round(other / own, 1),
            )
        )
    faster = median(map(sum, peer)) / median(map(sum, mine)) if peer else None
    return [*rows, row("both together: times faster than containerlab", faster, "×", 10, at_least=True)]


def _line(count: int, scratch: Path) -> Topology:
    nodes = "".join(f"    n{i}: {{}}\n" for i in range(count))
    links = "".join(f"    - endpoints: [n{i}:right, n{i + 1}:left]\n" for i in range(count - 1))
    return _written(f"bench-line-{count}", f"  nodes:\n{nodes}  links:\n{links}", scratch)


def _bare(count: int, scratch: Path) -> Topology:
    nodes = "".join(f"    n{i}: {{}}\n" for i in range(count))
    return _written(f"bench-bare-{count}", f"  nodes:\n{nodes}", scratch)


def _written(name: str, body: str, scratch: Path) -> Topology:
    path = scratch / f"{name}.clab.yml"
    path.write_text(HEAD.format(name=name) + body)
    return load_topology(path)


def _available_mib() -> float:
    line = next(x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemAvailable:"))
    return int(line.split()[1]) / 1024


def _sizes(rounds: int, scratch: Path) -> list[Row]:
    line, bare = _line(30, scratch), _bare(300, scratch)
    rates: dict[str, list[float]] = {line.name: [], bare.name: []}
    memory = []
    for number in range(rounds):
        console.print(f"sizes: round {number + 1} of {rounds}")
        for topology in (line, bare):
            before = _available_mib()
            deployed = deploy(topology)
            try:
                rates[topology.name].append(len(topology.nodes) / deployed.seconds)
                if topology is bare:
                    memory.append((before - _available_mib()) / len(bare.nodes))
            finally:
                deployed.lab.close()
                destroy(topology.name)
    return [
        row("nodes per second, 30 in a line", median(rates[line.name]), "nodes/s", 40, at_least=True),
        row("nodes per second, 300 bare", median(rates[bare.name]), "nodes/s", 25, at_least=True),
        row("memory per bare node", median(memory), "MiB", 3),
    ]
