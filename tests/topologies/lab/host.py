"""What a lab leaves on the host, seen without asking the lab: mounts, processes, control groups, interfaces, BPF maps.

Must not use the code that takes labs down, or a leak in it would hide itself.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from topologies.linux.bpf import BpfError, Map
from topologies.linux.ends import mac_of
from topologies.model import Topology
from topologies.runtimes import LinuxLab

RUN = Path("/run/nospof/labs")


def held_namespaces(lab: str) -> dict[str, int]:
    """Node → inode of its network namespace, by the mounts that hold them."""
    return {path.name: path.stat().st_ino for path in (RUN / lab / "netns").iterdir()}


def _directory(lab: str) -> list[str]:
    return [f"directory {RUN / lab}"] if (RUN / lab).exists() else []


def _mounts(lab: str) -> list[str]:
    """In every process's view: a mount that leaked into another mount namespace counts too."""
    found = set()
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            for line in table.read_text().splitlines():
                if f"{RUN / lab}/" in line:
                    found.add(f"mount {line.split()[4]}")
    return sorted(found)


def _processes(lab: str, namespaces: Collection[int]) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            inode = (process / "ns/net").stat().st_ino
            grouped = any(f"/nospof/{lab}/" in line for line in (process / "cgroup").read_text().splitlines())
            if inode in namespaces or grouped:
                found.append(f"process {process.name} {(process / 'comm').read_text().strip()}")
    return found


def _control_groups(lab: str) -> list[str]:
    """In every hierarchy, old and new. Looked for by name: other labs' groups come and go meanwhile."""
    root = Path("/sys/fs/cgroup")
    groups = [hierarchy / "nospof" / lab for hierarchy in (root, *root.iterdir())]
    return [f"cgroup {group}" for group in groups if group.exists()]


def _interfaces(macs: Iterable[str]) -> list[str]:
    """Those of the lab that came back to the host's own namespace."""
    shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return [f"interface with MAC {mac} on the host" for mac in macs if mac in shown]


def _maps(ids: Iterable[int]) -> list[str]:
    """A map lives as long as a program that uses it, and that as long as an interface it is attached to."""
    found = []
    for number in ids:
        with contextlib.suppress(BpfError):
            Map.by_id(number).close()
            found.append(f"BPF map {number}")
    return found


def traces(
    topology: Topology, *, namespaces: Mapping[str, int] | None = None, map_ids: Iterable[int] = ()
) -> list[str]:
    """Everything of the lab that the host still has; empty after a clean end. The kernel frees maps a little later."""
    ends = [end for link in topology.links for end in link.endpoints]
    return [
        *_directory(topology.name),
        *_mounts(topology.name),
        *_processes(topology.name, set((namespaces or {}).values())),
        *_control_groups(topology.name),
        *_interfaces(mac_of(topology.name, end.node, end.interface) for end in ends),
        *_maps(map_ids),
    ]


def ping(lab: LinuxLab, node: str, address: str, *, count: int = 1) -> bool:
    """Whether every one of `count` pings, 10 ms apart, was answered within a second."""
    return lab.exec(node, ["ping", "-n", "-q", "-c", str(count), "-i", "0.01", "-W", "1", address]).code == 0
