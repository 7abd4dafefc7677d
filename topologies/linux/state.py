"""What a lab leaves on disk while it is up, so that any later process can find it and clean it. Pure paths and one file."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from topologies.runtime import NoSuchLab

ROOT = Path(os.environ.get("NOSPOF_RUN", "/run/nospof")) / "labs"


class LabState(msgspec.Struct, frozen=True):
    """`state.json` of a lab. Written before the first namespace is made, and again once the lab is up. `host_links`: interfaces
    of the host's own that were there before, where a runtime makes the lab's among them."""

    name: str
    topology: str
    owner_pid: int
    nodes: tuple[str, ...]
    up: bool = False
    map_ids: dict[str, int] = {}
    runtime: str = "oci"
    variables: dict[str, str] = {}
    program_ids: tuple[int, int] = (0, 0)
    host_links: tuple[str, ...] = ()


class Places:
    """Where a lab keeps what, by name."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.root = ROOT / lab
        self.state = self.root / "state.json"
        self.gate = self.root / "gate"
        self.runc = self.root / "runc"
        self.cgroup = f"/nospof/{lab}"
        # Probe records: in memory, since a disk that flushes can hold up a send; below what only we can enter.
        self.scratch = self.root / "scratch"

    def netns(self, node: str) -> Path:
        return self.root / "netns" / node

    def bundle(self, node: str) -> Path:
        return self.root / "nodes" / node

    def rootfs(self, node: str) -> Path:
        return self.bundle(node) / "rootfs"

    def pid(self, node: str) -> Path:
        return self.bundle(node) / "pid"

    def read(self) -> LabState | None:
        """The lab's state, or None where there is none (or it was never written whole)."""
        try:
            return msgspec.json.decode(self.state.read_bytes(), type=LabState)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def running(self) -> LabState:
        """The state of a lab that is up. Raises NoSuchLab for one that is not."""
        state = self.read()
        if state is None or not state.up:
            raise NoSuchLab(f"lab {self.lab} is not up")
        return state

    def write(self, state: LabState) -> None:
        fresh = self.state.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.rename(self.state)


def labs() -> list[str]:
    """Names of all labs that have something on this host, whole or not."""
    return sorted(p.name for p in ROOT.iterdir() if p.is_dir()) if ROOT.exists() else []
