"""CPU of a lab by its cgroups: time spent, dead nodes included, its weight, and that nodes share it by process. Knows both
cgroup versions."""

from __future__ import annotations

import contextlib
from pathlib import Path

from topologies.linux.state import Places
from topologies.model import Node

V1 = Path("/sys/fs/cgroup/cpuacct")
V2 = Path("/sys/fs/cgroup")
V1_SHARES = Path("/sys/fs/cgroup/cpu")
OURS = ".instrument"  # no node is called so
SHARES = 8_192
"""What a lab weighs; a process of the host's weighs 1024. What must be on time beside it, probers and requesters, has a real-time
priority; what may wait for some of its milliseconds, connections, weighs less."""


def cpu_seconds(lab: str) -> float:
    """CPU seconds of every process there has been in the lab; 0 where the host accounts for none."""
    group = Places(lab).cgroup.lstrip("/")
    try:
        return int((V1 / group / "cpuacct.usage").read_text()) / 1e9
    except OSError:
        pass
    try:
        lines = (V2 / group / "cpu.stat").read_text().split()
    except OSError:
        return 0.0
    return int(lines[lines.index("usage_usec") + 1]) / 1e6


def prefer(lab: str) -> None:
    """Weighs the lab as what it is, many machines: its groups would else count for one task against the host's others."""
    group = Places(lab).cgroup.lstrip("/")
    for path in (group.rpartition("/")[0], group):
        _weigh(path, SHARES)


def share(lab: str, node: str) -> None:
    """Has the processes of a node compete for CPU with each of the lab's, not as one of many groups.

    A process that wakes for a moment waits in its group, and the group waits among dozens: beside bursts of CPU that costs a
    packet's path through seven nodes tens of milliseconds. Only where the CPU's hierarchy is one of its own (version 1); in
    version 2 a process is in one group for all that is counted and limited.
    """
    group = V1_SHARES / Places(lab).cgroup.lstrip("/")
    seen: set[str] = set()
    with contextlib.suppress(FileNotFoundError):
        # Again until nobody new is there: one that was forked while its parent was moved stays behind.
        while fresh := set((group / node / "cgroup.procs").read_text().split()) - seen:
            seen |= fresh
            for pid in fresh:
                with contextlib.suppress(ProcessLookupError):
                    (group / "cgroup.procs").write_text(pid)


def groups_of(lab: str, node: Node) -> list[Path]:
    """Files that a command of the node's has to be written into (`0`, by itself) to get CPU and limits, and
    to be held still, as the node does."""
    group, limits = Places(lab).cgroup.lstrip("/"), node.limits
    if not (V1_SHARES / group).exists():
        return [V2 / group / node.name / "cgroup.procs"]
    wanted = {"cpu": True, "memory": limits.memory is not None, "cpuset": limits.cpu_set is not None, "freezer": True}
    roots = [root for name, has in wanted.items() if has and (root := V1_SHARES.parent / name / group).exists()]
    alone = [root != V1_SHARES / group or limits.cpus is not None for root in roots]
    return [(root / node.name if own else root) / "cgroup.procs" for root, own in zip(roots, alone, strict=True)]


def join(lab: str, pid: int) -> None:
    """Puts a process of ours among the lab's, as if it were one more of them. Raises OSError where the host refuses."""
    group = Places(lab).cgroup.lstrip("/")
    for root in (V1_SHARES, V2):
        if (root / group).exists():
            own = root / group / OURS
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(pid))
            return
    raise OSError(f"lab {lab} has no cgroup for CPU time")


def release(lab: str) -> None:
    """Puts what was joined back where the host's other processes are, so that the lab's groups can go."""
    group = Places(lab).cgroup.lstrip("/")
    for root in (V1_SHARES, V2):
        with contextlib.suppress(OSError):
            for pid in (root / group / OURS / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    (root / "cgroup.procs").write_text(pid)


def _weigh(group: str, shares: int) -> None:
    for path, value in (
        (V1_SHARES / group / "cpu.shares", shares),
        (V2 / group / "cpu.weight", 1 + ((shares - 2) * 9999) // 262142),
    ):
        if path.exists():
            path.write_text(str(value))
            return
