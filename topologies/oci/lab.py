"""A running lab of the oci runtime: nodes that runc runs. How it is made: deploy.py."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topologies.image import store
from topologies.linux.ends import End
from topologies.linux.lab import LinuxLab
from topologies.linux.mgmt import HOUSE, mgmt_pairs
from topologies.linux.state import Places
from topologies.linux.wire import Wire
from topologies.oci import containers
from topologies.oci.accounting import cpu_seconds, groups_of, join, prefer, share
from topologies.oci.bundle import OURS, process_of
from topologies.runtime import RuntimeFailure
from topologies.source import load_topology


@dataclass
class OciLab(LinuxLab):
    """Open one by `OciLab.open(name)`."""

    @classmethod
    def open(cls, name: str) -> OciLab:
        """The lab of that name. Raises NoSuchLab when it is not up."""
        places = Places(name)
        state = places.running()
        return cls(load_topology(Path(state.topology), None, state.variables), places, Wire.open(state.map_ids))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mgmt = mgmt_pairs(self.topology)
        self.numbers[HOUSE] = len(self.numbers)

    def all_ends(self) -> dict[str, list[End]]:
        """Node → every end there is in it, those of the management network too, and that of its bridge's house."""
        ends = {node: list(found) for node, found in self.ends.items()}
        for pair in self.mgmt:
            for end in pair:
                ends.setdefault(end.node, []).append(end)
        return ends

    def placed(self) -> list[tuple[End, End]]:
        return [*super().placed(), *self.mgmt]

    def environment(self, node: str) -> Sequence[str]:
        brought = store.find(self.node(node).image)
        return process_of(self.topology, self.node(node), brought.config if brought else OURS).env

    def groups(self, node: str) -> Sequence[Path]:
        return groups_of(self.topology.name, self.node(node))

    def take_in(self, pid: int) -> None:
        try:
            join(self.topology.name, pid)
        except OSError as error:
            raise RuntimeFailure(f"lab {self.topology.name} takes no process of ours in: {error}") from error

    def prefer(self) -> None:
        prefer(self.topology.name)

    def level(self) -> None:
        for node in self.topology.nodes.values():
            if node.limits.cpus is None:
                share(self.topology.name, node.name)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.topology.name)

    def log(self, node: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.places.bundle(node) / "log").read_text(errors="replace")
        return ""

    def _start(self, nodes: Sequence[str]) -> None:
        containers.run_apart(self.topology, self.places, nodes)
        self.run_execs(nodes)
