"""Control groups of both versions: where a process is, what it spent, and taking empty ones away. It knows no lab."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from topologies.linux.processes import kill_and_wait
from topologies.runtime import RuntimeFailure

ROOT = Path("/sys/fs/cgroup")
HARNESS = "nospof-harness-"
MOST_SHARES = 262_144  # the most there is; a lab has 8,192


def _cgroup_roots() -> list[Path]:
    """Mount points of every cgroup hierarchy, old and new."""
    lines = Path("/proc/mounts").read_text().splitlines()
    return [Path(f[1]) for f in (line.split() for line in lines) if f[2] in ("cgroup", "cgroup2")]


def _strays(directory: Path) -> list[int]:
    """Processes of a group, without ourselves."""
    with contextlib.suppress(OSError):
        return [
            pid
            for line in (directory / "cgroup.procs").read_text().split()
            if (pid := int(line)) not in (0, os.getpid())
        ]
    return []


def remove_cgroups(group: str, *, deadline_s: float = 3) -> None:
    """Removes the group's directories below every hierarchy, waiting for the kernel to let go of ended processes.

    Whatever is still in one is killed: a command that was on its way into a node when its harness was, is in no namespace of
    the lab's yet. Raises RuntimeFailure.
    """
    end = time.monotonic() + deadline_s
    for root in _cgroup_roots():
        top = root / group.lstrip("/")
        _remove_tree(top, end)
        with contextlib.suppress(OSError):
            top.parent.rmdir()


def _remove_tree(directory: Path, end: float) -> None:
    """With whatever is made below it meanwhile: a runtime that outlives a killed harness for a moment still makes groups."""
    while True:
        children: list[Path] = []
        with contextlib.suppress(OSError):  # it may go while it is read
            children = [found for found in directory.iterdir() if found.is_dir()]
        for child in children:
            _remove_tree(child, end)
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > end:
                raise RuntimeFailure(f"cgroup {directory} stayed: {error.strerror}") from error
            kill_and_wait(_strays(directory))
            os.sched_yield()
        else:
            return


@contextlib.contextmanager
def served_first() -> Iterator[None]:
    """Until the block ends, this process and what it starts get the CPU they ask for before any lab does.

    Whoever asks thirty nodes something while they boot would else wait until they have booted. Only in a hierarchy of the CPU's
    own (version 1), and only for a process that nobody has placed anywhere: elsewhere nothing is changed.
    """
    top = ROOT / "cpu"
    _sweep(top)
    group = top / f"{HARNESS}{os.getpid()}"
    try:
        placed = groups_by_controller(os.getpid()).get("cpu") == top
        if placed:
            group.mkdir()
            (group / "cpu.shares").write_text(str(MOST_SHARES))
            (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        placed = False
    try:
        yield
    finally:
        if placed:
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):
                    (top / "cgroup.procs").write_text(pid)
        _sweep(top)


def _sweep(top: Path) -> None:
    """Removes the groups of harnesses that are gone, ours included if it is empty."""
    for group in top.glob(f"{HARNESS}*"):
        with contextlib.suppress(OSError):
            group.rmdir()


def groups_by_controller(pid: int) -> dict[str, Path]:
    """Controller (or `unified`) → the directory of the process's group, as cgroups(7) has it."""
    found = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(",") if names else ["unified"]:
            root = ROOT if name == "unified" and (ROOT / "cgroup.controllers").exists() else ROOT / name
            if (root / path.lstrip("/")).is_dir():
                found[name] = root / path.lstrip("/")
    return found


def groups_of_process(pid: int) -> list[Path]:
    """Files that a process has to be written into (`0`, by itself) to be where this one is."""
    with contextlib.suppress(OSError):
        return sorted({group / "cgroup.procs" for group in groups_by_controller(pid).values()})
    return []


def cpu_seconds(pid: int) -> float:
    """CPU seconds that the process's group has spent; 0 where the host accounts for none."""
    with contextlib.suppress(OSError, ValueError):
        groups = groups_by_controller(pid)
        if "cpuacct" in groups:
            return int((groups["cpuacct"] / "cpuacct.usage").read_text()) / 1e9
        lines = (groups["unified"] / "cpu.stat").read_text().split()
        return int(lines[lines.index("usage_usec") + 1]) / 1e6
    return 0.0
