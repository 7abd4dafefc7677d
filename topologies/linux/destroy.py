"""Takes what a lab has on this host off it, whole or half made, whoever made it. It trusts only what its directory holds."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from topologies.linux import freezer, netns
from topologies.linux.impair import doing as impairments
from topologies.linux.processes import by_namespace, kill_everyone, namespace_id
from topologies.linux.state import Places


def _namespaces(places: Places) -> dict[str, Path]:
    held = places.root / "netns"
    return {p.name: p for p in held.iterdir()} if held.exists() else {}


def _held(places: Places) -> dict[str, Path]:
    """Node → namespace, of those that really are some: one whose mount never happened is a plain file, and the host's own must never
    be taken for a lab's."""
    own = namespace_id(Path("/proc/self/ns/net"))
    return {
        node: path
        for node, path in _namespaces(places).items()
        if namespace_id(path) != own and path.stat().st_dev != places.root.stat().st_dev
    }


def let_go(places: Places) -> None:
    """Has go on what a killed harness left held still: nobody could end it."""
    freezer.release(pid for found in by_namespace(_held(places)).values() for pid in found)


def end_processes(places: Places) -> None:
    """Kills what runs in the lab's namespaces, ours included. Raises RuntimeFailure."""
    let_go(places)
    kill_everyone(_held(places))


def clear(places: Places) -> None:
    """Ends its processes, unmounts, and removes every trace. Raises RuntimeFailure."""
    end_processes(places)
    impairments.clear(places.root)
    prefix = f"{places.root}/"
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in sorted((m for m in mounted if m.startswith(prefix)), reverse=True):
        netns.unmount(Path(target))
    shutil.rmtree(places.root)
    with contextlib.suppress(OSError):
        places.root.parent.rmdir()
        places.root.parent.parent.rmdir()
