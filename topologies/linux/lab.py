"""A running lab whose nodes are network namespaces of this host: commands in nodes, processes, taps, kills and restarts.

What is the same for every runtime is here; how a node is started, and what its environment and its groups are, a runtime says.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from topologies.impairment import Impairment
from topologies.linux import links
from topologies.linux.ends import End, ends_of, pairs_of
from topologies.linux.entering import argv_into
from topologies.linux.impair.doing import Impaired, Impairer, Standing
from topologies.linux.processes import by_namespace, kill_and_wait
from topologies.linux.snapshot import snapshot
from topologies.linux.state import Places
from topologies.linux.wire import Flow, Instant, Seen, Wire
from topologies.model import Endpoint, Link, Node, Topology
from topologies.runtime import Done, RuntimeFailure, Say

AT_ONCE = 2
START_S = 5.0
EXEC_S = 60.0


def _nobody(_: str) -> None:
    """Hears what is told, where nobody else does."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One flow over one link in one direction, as a tap saw it."""

    sender: str
    receiver: str
    flow: Flow
    seen: Seen


@dataclass(frozen=True, slots=True)
class Deployed:
    """A lab and how long the runtime's own part took, seconds: until every container was there and let go."""

    lab: LinuxLab
    seconds: float


@dataclass
class LinuxLab(ABC):
    """Implements `topologies.runtime.Lab` where nodes are namespaces; it holds the wires' maps."""

    topology: Topology
    places: Places
    wire: Wire

    def __post_init__(self) -> None:
        self.numbers = {name: number for number, name in enumerate(self.topology.nodes)}
        self.ends = self._find_ends()
        pairs = [(a, b) for x, y in self.pairs() for a, b in ((x, y), (y, x))]
        self._ways = {a.number: (a.node, b.node) for a, b in pairs}
        self._ran: dict[str, Counter[str]] = {}
        self.say: Say = _nobody

    @abstractmethod
    def environment(self, node: str) -> Sequence[str]:
        """`NAME=VALUE` of the node's processes and of commands in it."""

    @abstractmethod
    def groups(self, node: str) -> Sequence[Path]:
        """Files that a command of the node's has to be written into to get CPU and limits as the node does."""

    @abstractmethod
    def take_in(self, pid: int) -> None:
        """Has the host give a process of ours its CPU as it gives it to the nodes' processes. Raises RuntimeFailure."""

    def prefer(self) -> None:  # noqa: B027 - where every container is weighed by itself, there is nothing to do
        """Has the host weigh the lab as what it is, many machines, from now on. Not before it is in service: whoever asks a node
        something meanwhile would have to wait until all of them have booted."""

    @abstractmethod
    def cpu_seconds(self) -> float:
        """CPU seconds of every process there has been in the lab; 0 where the host accounts for none."""

    @abstractmethod
    def log(self, node: str) -> str:
        """What the node's processes printed."""

    @abstractmethod
    def _start(self, nodes: Sequence[str]) -> None:
        """Starts dead nodes, with their links, in namespaces held where `netns` says."""

    def _keep_down(self, nodes: Sequence[str]) -> None:  # noqa: B027 - most runtimes start nothing by themselves
        """Has nobody but us start these nodes again once they are killed."""

    def _find_ends(self) -> Mapping[str, Sequence[End]]:
        return ends_of(self.topology)

    def pairs(self) -> list[tuple[End, End]]:
        """The links as pairs of ends, in the file's order."""
        return pairs_of(self.ends)

    def placed(self) -> list[tuple[End, End]]:
        """What the wires know: the links, and what else a cut has to cut."""
        return self.pairs()

    def place_ends(self) -> None:
        """Tells the wires who is where, once when the lab is made."""
        both = [(e, p) for a, b in self.placed() for e, p in ((a, b), (b, a))]
        if both:
            self.wire.place((e.number, self.numbers[e.node], self.numbers[p.node], p.number) for e, p in both)

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

    def ended(self) -> list[str]:
        """Nodes in which nothing runs: killed, or their command has ended."""
        found = by_namespace({n: self.netns(n) for n in self.topology.nodes})
        return [node for node, pids in found.items() if not pids]

    def pids(self, node: str) -> dict[int, str]:
        """Every process of the node: pid → command name."""
        return by_namespace({node: self.netns(node)})[node]

    def exec_argv(self, node: str, argv: Sequence[str]) -> list[str]:
        """The host's command that runs `argv` inside the node. Raises RuntimeFailure when the node is dead."""
        pid = self.init_pid(node)
        if pid is None:
            raise RuntimeFailure(f"node {node} has no processes: it was killed, or its command ended")
        return argv_into(pid, self.groups(node), self.environment(node), argv)

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float = 10) -> Done:
        command = self.exec_argv(node, argv)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeFailure(f"{node}: `{' '.join(argv)}` did not end within {timeout_s} s") from error
        return Done(done.returncode, done.stdout, done.stderr)

    def run_execs(self, nodes: Sequence[str]) -> None:
        """Each node's `exec` lines, once its links are there; no shell reads them. One that fails is told and does not keep the
        others from being run, as with containerlab: it may do what is done already."""
        for node in map(self.node, nodes):
            for command in node.exec:
                try:
                    done = self.exec(node.name, shlex.split(command), timeout_s=EXEC_S)
                except RuntimeFailure as error:
                    self.say(f"node {node.name}: exec `{command}`: {error}")
                    continue
                if done.code != 0:
                    words = " ".join((done.err or done.out).split())
                    self.say(f"node {node.name}: exec `{command}` ended with {done.code}: {words}"[:500])

    def snapshot(self, node: str) -> frozenset[str]:
        """Addresses, routes, interfaces, XDP and qdiscs of the node as comparable lines."""
        return snapshot(self.netns(node))

    def snapshots(self, nodes: Sequence[str]) -> Mapping[str, frozenset[str]]:
        return {node: self.snapshot(node) for node in nodes}

    def _numbers(self, nodes: Sequence[str], links: Sequence[Link]) -> list[int]:
        """Both ends of each of these links, and of every link of these nodes."""
        chosen = [*links, *(link for node in nodes for link in self.topology.links_of(node))]
        return sorted({self._end(point).number for link in chosen for point in link.endpoints})

    def _end(self, point: Endpoint) -> End:
        return next(end for end in self.ends[point.node] if end.interface == point.interface)

    def tap(self, nodes: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        """Records from now on which flows cross these links, and the links of these nodes."""
        self.wire.tap(self._numbers(nodes, links))

    def untap(self, nodes: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        self.wire.untap(self._numbers(nodes, links))

    def tapped(self) -> list[Crossing]:
        """Every flow that crossed a tapped link since `wire.forget_taps`, once per link and direction."""
        return [Crossing(*self._ways[sender], flow, seen) for (sender, flow), seen in self.wire.tapped().items()]

    def cut_link(self, link: Link) -> Instant:
        """Drops every frame on the link, both directions, in one step; carrier stays at both ends."""
        return self.wire.cut_ends(self._numbers((), (link,)))

    def cut_links(self) -> list[Link]:
        """Links that are cut silently now, by themselves and not with a node of theirs."""
        cut = self.wire.cuts()
        return [link for link in self.topology.links if cut & {*self._numbers((), (link,))}]

    def mend_link(self, link: Link) -> Instant:
        """Undoes `cut_link`."""
        return self.wire.cut_ends(self._numbers((), (link,)), 0)

    @property
    def impairer(self) -> Impairer:
        return Impairer(self.wire, self.places.root, self.netns, lambda node: self.ends[node])

    def _directions(self, link: Link, toward: str | None) -> list[tuple[End, End]]:
        """(sender, receiver), both or the one that ends at a node."""
        first, second = (self._end(point) for point in link.endpoints)
        return [(a, b) for a, b in ((first, second), (second, first)) if toward in (None, b.node)]

    def impair(self, link: Link, how: Impairment, toward: str | None = None) -> list[Standing]:
        """Impairs a link from now on, both directions or the one `toward` a node, in place of what impaired it before.

        Raises RuntimeFailure naming what this host's kernel would need; the link is as it was then.
        """
        ways = self._directions(link, toward)
        for sender, receiver in ways:
            self.impairer.plan(sender, receiver, how)
        return [self.impairer.impair(sender, receiver, how) for sender, receiver in ways]

    def heal_impairment(self, link: Link, toward: str | None = None) -> bool:
        """Undoes `impair`; whether there was anything. Frames on their way still arrive."""
        healed = [self.impairer.heal(sender, receiver) for sender, receiver in self._directions(link, toward)]
        return any(healed)

    def impaired(self) -> list[Impaired]:
        """Every direction of a link that is impaired now, and what that did so far."""
        return self.impairer.standing()

    def keep_static(self, link: Link) -> None:
        """Keeps what the kernel of the link's second end forgets with its interface (static routes), for `raise_carrier`. It
        takes some CPU: best before anybody measures."""
        end = self._end(link.endpoints[1])
        self._kept(end).write_bytes(msgspec.msgpack.encode(links.save_static(self.netns(end.node))))

    def _kept(self, end: End) -> Path:
        """On disk, since another process may have to raise the carrier."""
        return self.places.root / f"static-of-{end.number}"

    def drop_carrier(self, link: Link) -> Instant:
        """Takes the link's second end down, so that its first end loses carrier, and no frame passes."""
        end = self._end(link.endpoints[1])
        if not self._kept(end).exists():
            self.keep_static(link)
        before = time.monotonic_ns()
        links.set_state(self.netns(end.node), end, "down")
        return Instant(before, time.monotonic_ns())

    def raise_carrier(self, link: Link) -> None:
        """Undoes `drop_carrier`."""
        end = self._end(link.endpoints[1])
        links.set_state(self.netns(end.node), end, "up")
        with contextlib.suppress(FileNotFoundError):
            links.restore_static(
                self.netns(end.node), msgspec.msgpack.decode(self._kept(end).read_bytes(), type=list[bytes])
            )
            self._kept(end).unlink()

    def mgmt_addresses(self, node: str) -> dict[int, str]:
        """IP version → the node's address in the management network with its prefix length."""
        found = self.topology.mgmt.addresses.get(node, ()) if self.topology.mgmt else ()
        return {address.version: str(address) for address in found}

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
        for a, b in self.pairs():
            for end, peer in ((a, b), (b, a)):
                if end.node in inner and peer.node not in inner:
                    watched.setdefault(peer.node, []).append(peer.index)
        return sum(links.received_frames(self.netns(peer), indices) for peer, indices in watched.items())

    def kill(self, nodes: Sequence[str]) -> Instant:
        """Links cut in one step (the returned instant), then SIGKILL to every process and XDP off."""
        self._keep_down(nodes)
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
            self._start(some)
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

    def reset(self) -> list[str]:
        """Takes every fault back, whoever did it: cuts mended, carriers raised, what is stopped goes on, what is dead starts anew.
        Says what there was, a sentence each; whether the lab is in service again, its services will tell."""
        said = []
        everyone = by_namespace({n: self.netns(n) for n in self.topology.nodes})
        dead = [n for n in self.topology.nodes if self.init_pid(n) is None]
        for node, pids in everyone.items():
            for pid, name in pids.items():
                if self.stopped(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                        said.append(f"{name} of {node} goes on")
        for link in self.topology.links:
            end = self._end(link.endpoints[1])
            if not links.is_set_up(self.netns(end.node), end):
                self.raise_carrier(link)
                said.append(f"{link} is up again")
        said += [f"{link} carries frames again" for link in self.cut_links()]
        self.wire.cut_ends(self._numbers((), self.topology.links), 0)
        for link in self.topology.links:
            if self.heal_impairment(link):
                said.append(f"{link} is no longer impaired")
        if dead:
            self.restart(dead)
            said.append(f"{', '.join(dead)} started anew")
        self.wire.join_nodes(self.numbers[n] for n in self.topology.nodes)
        return said

    def sockets(self, path: str) -> dict[str, Path]:
        """Where the host reaches this socket of each node that has it now."""
        found = {}
        for node in self.topology.nodes:
            with contextlib.suppress(OSError):
                place = Path(f"/proc/{self.places.pid(node).read_text().strip()}/root{path}")
                if place.is_socket():
                    found[node] = place
        return found

    def close(self) -> None:
        self.wire.close()
