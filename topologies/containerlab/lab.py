"""A running lab of the containerlab runtime: nodes that Docker runs, links that containerlab made. How it is made: deploy.py."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker import DockerClient
from docker.models.containers import Container

from topologies.containerlab import containers
from topologies.containerlab.adopt import find_ends, found_ends, hold, move
from topologies.linux import links
from topologies.linux.bpf import program_by_id
from topologies.linux.cgroups import cpu_seconds, groups_of_process
from topologies.linux.ends import End, ends_of
from topologies.linux.lab import LinuxLab
from topologies.linux.links import Wires, wire_requests
from topologies.linux.mgmt import HOUSE, mgmt_pairs
from topologies.linux.state import Places
from topologies.linux.wire import Wire
from topologies.runtime import RuntimeFailure
from topologies.source import load_topology


@dataclass
class ContainerlabLab(LinuxLab):
    """Open one by `ContainerlabLab.open(name)`. `programs` are descriptors of the wire's two, held for restarts."""

    programs: tuple[int, int] = (-1, -1)
    _policies: dict[str, str] = field(default_factory=dict)
    _environments: dict[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def open(cls, name: str) -> ContainerlabLab:
        """The lab of that name. Raises NoSuchLab when it is not up."""
        places = Places(name)
        state = places.running()
        programs = program_by_id(state.program_ids[0]), program_by_id(state.program_ids[1])
        return cls(
            load_topology(Path(state.topology), None, state.variables), places, Wire.open(state.map_ids), programs
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        # The other side of a node's management interface is a bridge of the host's: cut at the node's side alone.
        self.numbers[HOUSE] = len(self.numbers)
        self._ports = {end.node: (end, port) for end, port in mgmt_pairs(self.topology)}

    def placed(self) -> list[tuple[End, End]]:
        return [*super().placed(), *self._ports.values()]

    def equip(self, node: str) -> None:
        """Offloads and wires for every end of the node."""
        expected = [self._ports[node][0]] if node in self._ports else []
        mgmt = found_ends(self.netns(node), expected)
        links.equip(self.netns(node), [*self.ends[node], *mgmt], self.wires())

    def _find_ends(self) -> Mapping[str, Sequence[End]]:
        return find_ends(self.topology, self.places)

    def wires(self) -> Wires:
        """What puts a wire of this lab on an end."""
        return wire_requests(*self.programs)

    def environment(self, node: str) -> Sequence[str]:
        if node not in self._environments:  # it never changes, and asking takes longer than most commands
            with containers.engine() as client:
                self._environments[node] = containers.running(node, self._container(client, node)).environment
        return self._environments[node]

    def groups(self, node: str) -> Sequence[Path]:
        pid = self.init_pid(node)
        return [] if pid is None else groups_of_process(pid)

    def mgmt_addresses(self, node: str) -> dict[int, str]:
        with containers.engine() as client:
            return containers.addresses(self._container(client, node))

    def take_in(self, pid: int) -> None:
        """Docker gives every container a group of its own, beside the one that ours is in: nothing is to be done."""

    def cpu_seconds(self) -> float:
        pids = [pid for node in self.topology.nodes if (pid := self.init_pid(node))]
        return sum(map(cpu_seconds, pids))

    def log(self, node: str) -> str:
        with containers.engine() as client:
            return containers.logs(containers.of_lab(client, self.topology.name), node)

    def _container(self, client: DockerClient, node: str) -> Container:
        found = containers.of_lab(client, self.topology.name)
        if node not in found:
            raise RuntimeFailure(f"node {node} has no container any more: somebody else removed it")
        return found[node]

    def _keep_down(self, nodes: Sequence[str]) -> None:
        with containers.engine() as client:
            found = containers.of_lab(client, self.topology.name)
            for node in nodes:
                if node in found and (policy := containers.policy(found[node])) != "no":
                    self._policies[node] = policy
                    containers.set_policy(found[node], "no")

    def _start(self, nodes: Sequence[str]) -> None:
        expected = ends_of(self.topology)
        with containers.engine() as client:
            found = containers.of_lab(client, self.topology.name)
            for node in nodes:
                if node not in found:
                    raise RuntimeFailure(f"node {node} has no container any more: somebody else removed it")
                pid = containers.start(node, found[node]).pid
                move(self.places, self.ends[node], pid)
                hold(self.places, node, pid)
                self.ends = {**self.ends, node: found_ends(self.netns(node), expected[node])}
                links.bring_up(self.netns(node), self.ends[node])
                self.equip(node)
                if node in self._policies:
                    containers.set_policy(found[node], self._policies.pop(node))
        self.impairer.again(nodes)
        self.run_execs(nodes)

    def close(self) -> None:
        super().close()
        for fd in self.programs:
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self.programs = (-1, -1)
