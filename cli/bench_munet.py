"""What `nospof bench lab` measures beside munet: as many namespaces, joined in the same way, in which nothing but a sleep runs."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from cli.figures import Row, row
from cli.outcome import console
from topologies.model import Topology
from topologies.runtime import RuntimeMissing
from topologies.source import load_topology

Times = tuple[float, float]
"""Seconds until every node answers, and until nothing is left."""
AT_ONCE = 16
UP_S = 120.0
TRIES = 3
"""So often a round of munet's is begun: on a busy host it looks for a process before that is there, now and then."""
HEAD = "name: {name}\ntopology:\n  defaults: {{kind: linux, image: nospof/base:latest, network-mode: none, cmd: sleep infinity}}\n"


class PeerFailure(Exception):
    """munet does not do here what it does elsewhere; the message holds its words."""


def binary() -> str:
    """Where munet is. Raises RuntimeMissing when it is not installed."""
    found = shutil.which("munet")
    if found is None:
        raise RuntimeMissing(
            "munet is not installed; `pip install munet` in an environment of its own, and have it on PATH"
        )
    return found


def emptied(topology: Topology, name: str, scratch: Path) -> Topology:
    """The same nodes and links, without anything that runs in them."""
    nodes = "".join(f"    {node}: {{}}\n" for node in topology.nodes)
    links = "".join(f"    - endpoints: ['{a}', '{b}']\n" for a, b in (link.endpoints for link in topology.links))
    path = scratch / f"{name}.clab.yml"
    path.write_text(f"{HEAD.format(name=name)}  nodes:\n{nodes}  links:\n{links}")
    return load_topology(path)


def description(topology: Topology) -> dict[str, object]:
    """What munet is told: each node names the links that it has, and which end of the other node's is theirs."""
    nodes = []
    for name in topology.nodes:
        ends = [(link.end_at(name), link.end_beyond(name)) for link in topology.links_of(name)]
        connections = [{"to": b.node, "name": a.interface, "remote-name": b.interface} for a, b in ends]
        nodes.append({"name": name, "cmd": "sleep infinity", "connections": connections})
    return {"topology": {"networks-autonumber": False, "nodes": nodes}}


def theirs(topology: Topology, scratch: Path) -> Times:
    """By munet alone. Raises RuntimeMissing, PeerFailure.

    With `--host` it makes no namespaces of its own around the nodes', which is less work for it, and which a host can refuse on
    which the first process may do more than root.
    """
    config, rundir, log = scratch / "munet.json", scratch / "munet", scratch / "munet.log"
    config.write_text(json.dumps(description(topology)))
    shutil.rmtree(rundir, ignore_errors=True)
    with log.open("wb") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            [binary(), "--host", "-c", str(config), "-d", str(rundir), "--no-cli"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            pids = _pids(topology, rundir, process, log)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for code in pool.map(_answers, pids):
                    if code:
                        raise PeerFailure("a node of munet does not answer `true`")
            up = time.monotonic() - began
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=UP_S)
            return up, time.monotonic() - began
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


def _tried(topology: Topology, scratch: Path) -> Times:
    for _ in range(TRIES - 1):
        try:
            return theirs(topology, scratch)
        except PeerFailure as failure:
            console.print(f"again: {failure}", markup=False, soft_wrap=True)
    return theirs(topology, scratch)


def _pids(topology: Topology, rundir: Path, process: subprocess.Popen[bytes], log: Path) -> list[int]:
    tick, end = threading.Event(), time.monotonic() + UP_S
    files = [rundir / node / "nspid" for node in topology.nodes]
    while True:
        with contextlib.suppress(OSError, ValueError):
            return [int(file.read_text()) for file in files]
        if process.poll() is not None or time.monotonic() > end:
            said = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise PeerFailure(f"munet did not come up: {' / '.join(said)}")
        tick.wait(0.01)


def _answers(pid: int) -> int:
    return subprocess.run(["nsenter", f"--target={pid}", "--mount", "--net", "--uts", "true"], check=False).returncode


def beside_munet(topology: Topology, ours: Callable[[Topology], Times], rounds: int, scratch: Path) -> list[Row]:
    """`ours` measures the same of a topology of ours."""
    empty = emptied(topology, "bench-empty", scratch)
    mine, peer = [], []
    try:
        for number in range(rounds):
            console.print(f"beside munet: round {number + 1} of {rounds}")
            peer.append(_tried(empty, scratch))
            mine.append(ours(empty))
    except (RuntimeMissing, PeerFailure) as missing:
        console.print(f"not side by side: {missing}", markup=False, soft_wrap=True)
        return [row("both together, without programs: times faster than munet", None, "×", 2, at_least=True)]
    own, other = median(map(sum, mine)), median(map(sum, peer))
    both = Row(
        what=f"deploy and destroy, {len(empty.nodes)} nodes without programs",
        ours=round(own, 3),
        unit="s",
        worst=round(max(map(sum, mine)), 3),
        rounds=rounds,
        peer=round(other, 3),
        peer_name="munet",
        ratio=round(other / own, 1),
    )
    return [both, row("both together, without programs: times faster than munet", other / own, "×", 2, at_least=True)]
