"""A running lab of the oci runtime: commands in nodes, processes, kills and restarts. How it is made: deploy.py."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from topologies.model import Endpoint, Link, Node, Topology
from topologies.oci import containers, links
from topologies.oci.accounting import groups_of, join
from topologies.oci.bundle import process_of
from topologies.oci.links import End
from topologies.oci.processes import by_namespace, kill_and_wait
from topologies.oci.snapshot import snapshot
from topologies.oci.state import Places
from topologies.oci.wire import Flow, Instant, Seen, Wire
from topologies.runtime import Done, NoSuchLab, RuntimeFailure
from topologies.source import load_topology

AT_ONCE = 2
# A command is weighed and limited as its node is, and not as one of the harness's, which has to wait behind the whole lab.
JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1" || :; shift; done 2>/dev/null; shift; exec "$@"'
START_S = 5.0
FIRST_INDEX = 10  # below are lo and what the kernel makes by itself


def ends_of(topology: Topology) -> dict[str, list[End]]:
    """Node → its link ends. Interface indices are unique in the lab: the same index at both ends delays loss of carrier."""
    ends: dict[str, list[End]] = {name: [] for name in topology.nodes}
    index = FIRST_INDEX
    for link in topology.links:
        for point in link.endpoints:
            mac = links.mac_of(topology.name, point.node, point.interface)
            ends[point.node].append(End(point.node, point.interface, index, link.mtu, mac))
            index += 1
    return ends


def pairs_of(topology: Topology) -> list[tuple[End, End]]:
    """The links as pairs of ends, in the file's order."""
    flat = sorted((end for found in ends_of(topology).values() for end in found), key=lambda end: end.index)
    return list(zip(flat[::2], flat[1::2], strict=True))


@dataclass(frozen=True, slots=True)
class Crossing:
    """One flow over one link in one direction, as a tap saw it."""

    sender: str
    receiver: str
    flow: Flow
    seen: Seen


@dataclass
class OciLab:
    """Implements `topologies.runtime.Lab`. Open one by `OciLab.open(name)`; it holds the wires' maps."""

    topology: Topology
    places: Places
    wire: Wire

    def __post_init__(self) -> None:
        self.numbers = {name: number for number, name in enumerate(self.topology.nodes)}
        self.ends = ends_of(self.topology)
        pairs = [(a, b) for x, y in pairs_of(self.topology) for a, b in ((x, y), (y, x))]
        self._ways = {a.index: (a.node, b.node) for a, b in pairs}
        self._ran: dict[str, Counter[str]] = {}
        self._kept: dict[int, Sequence[bytes]] = {}

    @classmethod
    def open(cls, name: str) -> OciLab:
        """The lab of that name. Raises NoSuchLab when it is not up."""
        places = Places(name)
        state = places.read()
        if state is None or not state.up:
            raise NoSuchLab(f"lab {name} is not up")
        return cls(load_topology(Path(state.topology)), places, Wire.open(state.map_ids))

    def node(self, name: str) -> Node:
        """Raises NoSuchLab-like ValueError with the names there are."""
        try:
            return self.topology.nodes[name]
        except KeyError:
            raise ValueError(
                f"no node {name!r} in lab {self.topology.name}; there are {', '.join(self.topology.nodes)}"
            ) from None

    def netns(self, node: str) -> Path:
        return self.places.netns(node)

    def init_pid(self, node: str) -> int | None:
        """Pid of the node's init, or None when the node is dead."""
        try:
            pid = int(self.places.pid(node).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if pid in by_namespace({node: self.netns(node)})[node] else None

    def pids(self, node: str) -> dict[int, str]:
        """Every process of the node: pid → command name."""
        return by_namespace({node: self.netns(node)})[node]

    def exec_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """The host's command that runs `argv` inside the node. Raises RuntimeFailure when the node is dead."""
        pid = self.init_pid(node)
        if pid is None:
            raise RuntimeFailure(f"node {node} has no processes: it was killed, or its command ended")
        lab = self.topology.name
        groups = map(str, groups_of(lab, self.node(node)))
        enter = [
            "sh",
            "-c",
            JOIN,
            "join",
            *groups,
            "--",
            "nsenter",
            f"--target={pid}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
        ]
        # The directory is changed inside: nsenter would take the host's `/` along.
        return [*enter, "env", "-i", "-C", "/", *process_of(self.node(node), lab).env, *argv]

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float = 10) -> Done:
        command = self.exec_argv(node, argv)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeFailure(f"{node}: `{' '.join(argv)}` did not end within {timeout_s} s") from error
        return Done(done.returncode, done.stdout, done.stderr)

    def take_in(self, pid: int) -> None:
        """Has the host give a process of ours its CPU as it gives it to the nodes' processes. Raises RuntimeFailure."""
        try:
            join(self.topology.name, pid)
        except OSError as error:
            raise RuntimeFailure(f"lab {self.topology.name} takes no process of ours in: {error}") from error

    def snapshot(self, node: str) -> frozenset[str]:
        """Addresses, routes, interfaces, XDP and qdiscs of the node as comparable lines."""
        return snapshot(self.netns(node))

    def snapshots(self, nodes: Sequence[str]) -> Mapping[str, frozenset[str]]:
        return {node: self.snapshot(node) for node in nodes}

    def _indices(self, nodes: Sequence[str], links: Sequence[Link]) -> list[int]:
        """Both ends of each of these links, and of every link of these nodes."""
        chosen = [*links, *(link for node in nodes for link in self.topology.links_of(node))]
        return sorted({self._end(point).index for link in chosen for point in link.endpoints})

    def _end(self, point: Endpoint) -> End:
        return next(end for end in self.ends[point.node] if end.interface == point.interface)

    def tap(self, nodes: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        """Records from now on which flows cross these links, and the links of these nodes."""
        self.wire.tap(self._indices(nodes, links))

    def untap(self, nodes: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        self.wire.untap(self._indices(nodes, links))

    def tapped(self) -> list[Crossing]:
        """Every flow that crossed a tapped link since `wire.forget_taps`, once per link and direction."""
        return [Crossing(*self._ways[sender], flow, seen) for (sender, flow), seen in self.wire.tapped().items()]

    def cut_link(self, link: Link) -> Instant:
        """Drops every frame on the link, both directions, in one step; carrier stays at both ends."""
        return self.wire.cut_ends(self._indices((), (link,)))

    def mend_link(self, link: Link) -> Instant:
        """Undoes `cut_link`."""
        return self.wire.cut_ends(self._indices((), (link,)), 0)

    def keep_static(self, link: Link) -> None:
        """Keeps what the kernel of the link's second end forgets with its interface (static routes), for `raise_carrier`. It
        takes some CPU: best before anybody measures."""
        end = self._end(link.endpoints[1])
        self._kept[end.index] = links.save_static(self.netns(end.node))

    def drop_carrier(self, link: Link) -> Instant:
        """Takes the link's second end down, so that its first end loses carrier, and no frame passes."""
        end = self._end(link.endpoints[1])
        if end.index not in self._kept:
            self.keep_static(link)
        before = time.monotonic_ns()
        links.set_state(self.netns(end.node), end, "down")
        return Instant(before, time.monotonic_ns())

    def raise_carrier(self, link: Link) -> None:
        """Undoes `drop_carrier`."""
        end = self._end(link.endpoints[1])
        links.set_state(self.netns(end.node), end, "up")
        links.restore_static(self.netns(end.node), self._kept.pop(end.index, ()))

    def frames_over(self, link: Link) -> int:
        """Frames that the two ends of a link have received, by their own counters."""
        ends = [self._end(point) for point in link.endpoints]
        return sum(links.received_frames(self.netns(end.node), [end.index]) for end in ends)

    def carriers(self, link: Link) -> tuple[bool, bool]:
        """Whether each end of the link has carrier and is up."""
        first, second = (self._end(point) for point in link.endpoints)
        return links.is_running(self.netns(first.node), first), links.is_running(self.netns(second.node), second)

    def signal(self, node: str, process: str, number: int) -> tuple[int, ...]:
        """Sends a signal to every process of that command name in the node; the pids that got it."""
        sent = []
        for pid in self.processes(node, process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                sent.append(pid)
        return tuple(sent)

    def processes(self, node: str, process: str) -> tuple[int, ...]:
        """Pids of the node's processes of that command name (the kernel keeps its first 15 bytes)."""
        return tuple(pid for pid, name in self.pids(node).items() if name == process[:15])

    def stopped(self, pid: int) -> bool:
        """Whether a process is stopped by a signal, as the kernel says; one that is gone is not."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def frames_from(self, nodes: Sequence[str]) -> int:
        """Frames that the neighbours of these nodes have received from them, by the neighbours' own interface counters."""
        inner = set(nodes)
        watched: dict[str, list[int]] = {}
        for a, b in pairs_of(self.topology):
            for end, peer in ((a, b), (b, a)):
                if end.node in inner and peer.node not in inner:
                    watched.setdefault(peer.node, []).append(peer.index)
        return sum(links.received_frames(self.netns(peer), indices) for peer, indices in watched.items())

    def kill(self, nodes: Sequence[str]) -> Instant:
        """Links cut in one step (the returned instant), then SIGKILL to every process and XDP off."""
        instant = self.wire.cut_nodes([self.numbers[n] for n in nodes])
        found = by_namespace({n: self.netns(n) for n in nodes})
        self._ran.update({node: Counter(pids.values()) for node, pids in found.items() if pids})
        kill_and_wait([pid for pids in found.values() for pid in pids])
        for node in nodes:
            links.detach_xdp(self.netns(node), self.ends[node])
            self.places.pid(node).unlink(missing_ok=True)
        return instant

    def restart(self, nodes: Sequence[str]) -> None:
        """Clears what the dead daemons left in the kernel, mends the links, starts the nodes anew.

        A few at a time, the next when those before have the processes again that they had: many nodes booting at once would
        starve the routers of the others, whose sessions would fall for want of CPU.
        """
        dead = [n for n in nodes if self.init_pid(n) is None]
        for node in dead:
            links.flush_dynamic(self.netns(node))
        for at in range(0, len(dead), AT_ONCE):
            some = dead[at : at + AT_ONCE]
            containers.run_all(self.topology, self.places, some)
            self.wire.join_nodes([self.numbers[n] for n in some])
            if at + AT_ONCE < len(dead):
                self._await_processes(some)
        self.wire.join_nodes([self.numbers[n] for n in nodes])

    def _await_processes(self, nodes: Sequence[str]) -> None:
        """Until the nodes run what they ran when they were killed, or it takes too long: what is missing then, the heal's
        own check will name."""
        tick, end = threading.Event(), time.monotonic() + START_S
        while time.monotonic() < end:
            running = by_namespace({n: self.netns(n) for n in nodes})
            if all(self._ran.get(n, Counter()) <= Counter(running[n].values()) for n in nodes):
                return
            tick.wait(0.1)

    def sockets(self, path: str) -> dict[str, Path]:
        """Where the host reaches this socket of each node that has it now."""
        found = {}
        for node in self.topology.nodes:
            with contextlib.suppress(OSError):
                place = Path(f"/proc/{self.places.pid(node).read_text().strip()}/root{path}")
                if place.is_socket():
                    found[node] = place
        return found

    def log(self, node: str) -> str:
        """What the node's processes printed."""
        with contextlib.suppress(FileNotFoundError):
            return (self.places.bundle(node) / "log").read_text(errors="replace")
        return ""

    def close(self) -> None:
        self.wire.close()
