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

from topologies.linux import links
from topologies.linux.copying import copy_in, copy_out
from topologies.linux.ends import End, ends_of
from topologies.linux.entering import argv_into
from topologies.linux.freezer import held_still
from topologies.linux.processes import by_namespace, kill_everyone
from topologies.linux.signals import send, signal_all
from topologies.linux.snapshot import snapshot
from topologies.linux.state import Places
from topologies.linux.wire import Instant, Wire
from topologies.linux.wired import Links
from topologies.model import Node, Topology
from topologies.runtime import CommandTooLate, Done, RuntimeFailure, Say

AT_ONCE = 2
START_S = 5.0
STOP_S = 2.0
EXEC_S = 60.0


def _nobody(_: str) -> None:
    """Hears what is told, where nobody else does."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A lab and how long the runtime's own part took, seconds: until every container was there and let go."""

    lab: LinuxLab
    seconds: float


@dataclass
class LinuxLab(Links, ABC):
    """Implements `topologies.runtime.Lab` where nodes are namespaces; it holds the wires' maps."""

    topology: Topology
    places: Places
    wire: Wire

    def __post_init__(self) -> None:
        self.numbers = {name: number for number, name in enumerate(self.topology.nodes)}
        self.ends = self._find_ends()
        pairs = [(a, b) for x, y in self.pairs() for a, b in ((x, y), (y, x))]
        self._ways = {a.number: (a.node, b.node, a.interface) for a, b in pairs}
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

    def prefer(self) -> None:
        """Has the host weigh the lab as what it is, many machines, from now on. Not before it is in service: whoever asks a node
        something meanwhile would have to wait until all of them have booted."""

    def level(self) -> None:
        """Has the host weigh nodes that were started anew as it weighs the others: not before they have booted."""

    @abstractmethod
    def cpu_seconds(self) -> float:
        """CPU seconds of every process there has been in the lab; 0 where the host accounts for none."""

    @abstractmethod
    def log(self, node: str) -> str:
        """What the node's processes printed."""

    @abstractmethod
    def _start(self, nodes: Sequence[str]) -> None:
        """Starts dead nodes, with their links, in namespaces held where `netns` says."""

    def _keep_down(self, nodes: Sequence[str]) -> None:
        """Has nobody but us start these nodes again once they are killed."""

    def _find_ends(self) -> Mapping[str, Sequence[End]]:
        return ends_of(self.topology)

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
        return argv_into(self._living(node), self.groups(node), self.environment(node), argv)

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float = 10) -> Done:
        command = self.exec_argv(node, argv)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise CommandTooLate(f"{node}: `{' '.join(argv)}` did not end within {timeout_s} s") from error
        return Done(done.returncode, done.stdout, done.stderr)

    def _living(self, node: str) -> int:
        pid = self.init_pid(node)
        if pid is None:
            raise RuntimeFailure(f"node {node} has no processes: it was killed, or its command ended")
        return pid

    def copy_in(self, node: str, source: Path, target: str) -> None:
        """The host's file in the node, with its mode. Raises RuntimeFailure naming what kept it out."""
        copy_in(node, self._living(node), source, target)

    def copy_out(self, node: str, source: str, target: Path) -> None:
        """The node's file on the host, whole or not at all. Raises RuntimeFailure."""
        copy_out(node, self._living(node), source, target)

    def freeze(self, nodes: Sequence[str]) -> None:
        """Stops every process of these nodes; their kernels go on: ARP, listening sockets, XDP. `thaw` undoes it. Returns when
        they stand; raises RuntimeFailure for those that do not."""
        with held_still(self._everyone(nodes)):
            stopped = signal_all(lambda: self._everyone(nodes), signal.SIGSTOP, contextlib.nullcontext)
        tick, end = threading.Event(), time.monotonic() + STOP_S
        while moving := [pid for pid in stopped if Path(f"/proc/{pid}").exists() and not self.stopped(pid)]:
            if time.monotonic() > end:
                raise RuntimeFailure(
                    f"processes {sorted(moving)} of {', '.join(nodes)} go on {STOP_S:g} s after SIGSTOP"
                )
            tick.wait(0.002)

    def thaw(self, nodes: Sequence[str]) -> None:
        send(self._everyone(nodes), signal.SIGCONT)

    def _everyone(self, nodes: Sequence[str]) -> set[int]:
        return {pid for found in by_namespace({n: self.netns(n) for n in nodes}).values() for pid in found}

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

    def mgmt_addresses(self, node: str) -> dict[int, str]:
        """IP version → the node's address in the management network with its prefix length."""
        found = self.topology.mgmt.addresses.get(node, ()) if self.topology.mgmt else ()
        return {address.version: str(address) for address in found}

    def signal(self, node: str, process: str, number: int) -> tuple[int, ...]:
        """Sends a signal to every process of that command name in the node, and to those that they fork meanwhile; the pids that
        got it. Raises RuntimeFailure where they fork too fast and the node cannot be held still."""
        return signal_all(lambda: self.processes(node, process), number, lambda: held_still(self._everyone([node])))

    def processes(self, node: str, process: str) -> tuple[int, ...]:
        """Pids of the node's processes of that command name (the kernel keeps its first 15 bytes)."""
        return tuple(pid for pid, name in self.pids(node).items() if name == process[:15])

    def stopped(self, pid: int) -> bool:
        """Whether a process is stopped by a signal, as the kernel says; one that is gone is not."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def kill(self, nodes: Sequence[str]) -> Instant:
        """Links cut in one step (the returned instant), then SIGKILL to every process and XDP off.

        What their kernel still has to send for them, FIN above all, dies with them within a second: a machine that is switched on
        again knows nothing of its connections.
        """
        self._keep_down(nodes)
        instant = self.wire.cut_nodes([self.numbers[n] for n in nodes])
        for node in nodes:
            links.forget_connections(self.netns(node))
        found = by_namespace({n: self.netns(n) for n in nodes})
        self._ran.update({node: Counter(pids.values()) for node, pids in found.items() if pids})
        kill_everyone({n: self.netns(n) for n in nodes})
        for node in nodes:
            links.detach_xdp(self.netns(node), self.ends[node])
            self.places.pid(node).unlink(missing_ok=True)
        return instant

    def is_cut(self, node: str) -> bool:
        """Whether all links of a node are cut, as a kill cuts them."""
        return self.wire.is_cut_off(self.numbers[node])

    def restart(self, nodes: Sequence[str]) -> None:
        """Clears what the dead daemons left in the kernel, mends the links, starts the nodes anew.

        A few at a time, the next when those before have the processes again that they had: many nodes booting at once would
        starve the routers of the others, whose sessions would fall for want of CPU.
        """
        dead = [n for n in nodes if self.init_pid(n) is None]
        for node in dead:  # whose processes may have ended by themselves
            links.forget_connections(self.netns(node))
            links.flush_dynamic(self.netns(node))
        settings = {self.netns(n): self.topology.nodes[n].sysctls.get(links.ORPHAN_RETRIES, "0") for n in dead}
        links.connections_forgotten(settings)
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
