"""Takes a lab off the host, whole or half made, whoever made it. It trusts only what the lab's directory holds."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from topologies.oci import netns
from topologies.oci.accounting import release
from topologies.oci.processes import by_namespace, kill_and_wait, namespace_id
from topologies.oci.state import Places
from topologies.runtime import NoSuchLab, RuntimeFailure


def _cgroup_roots() -> list[Path]:
    """Mount points of every cgroup hierarchy, old and new."""
    lines = Path("/proc/mounts").read_text().splitlines()
    return [Path(f[1]) for f in (line.split() for line in lines) if f[2] in ("cgroup", "cgroup2")]


def remove_cgroups(group: str, *, deadline_s: float = 3) -> None:
    """Removes the group's directories below every hierarchy, waiting for the kernel to let go of ended processes."""
    end = time.monotonic() + deadline_s
    for root in _cgroup_roots():
        top = root / group.lstrip("/")
        for directory, _, _ in os.walk(top, topdown=False):
            while True:
                try:
                    Path(directory).rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError as error:
                    if time.monotonic() > end:
                        raise RuntimeFailure(f"cgroup {directory} stayed: {error.strerror}") from error
                    os.sched_yield()
        with contextlib.suppress(OSError):
            top.parent.rmdir()


def _namespaces(places: Places) -> dict[str, Path]:
    held = places.root / "netns"
    return {p.name: p for p in held.iterdir()} if held.exists() else {}


def destroy(lab: str) -> None:
    """Kills what runs in the lab's namespaces, unmounts, and removes every trace. Raises NoSuchLab, RuntimeFailure."""
    places = Places(lab)
    if not places.root.exists():
        raise NoSuchLab(f"lab {lab} is not up")
    spaces = _namespaces(places)
    own = namespace_id(Path("/proc/self/ns/net"))
    # A namespace whose mount never happened is a plain file; the host's own must never be taken for a lab's.
    spaces = {
        node: path
        for node, path in spaces.items()
        if namespace_id(path) != own and path.stat().st_dev != places.root.stat().st_dev
    }
    for _ in range(3):  # a process may have been forked while the list was read
        pids = [pid for found in by_namespace(spaces).values() for pid in found]
        if not pids:
            break
        kill_and_wait(pids)
    prefix = f"{places.root}/"
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in sorted((m for m in mounted if m.startswith(prefix)), reverse=True):
        netns.unmount(Path(target))
    release(lab)
    remove_cgroups(places.cgroup)
    shutil.rmtree(places.scratch, ignore_errors=True)
    shutil.rmtree(places.root)
    with contextlib.suppress(OSError):
        places.root.parent.rmdir()
        places.root.parent.parent.rmdir()
