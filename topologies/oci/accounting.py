"""CPU of a lab by its cgroups: time spent, dead nodes included, and its weight. Knows both cgroup versions."""

from __future__ import annotations

from pathlib import Path

from topologies.oci.state import Places

V1 = Path("/sys/fs/cgroup/cpuacct")
V2 = Path("/sys/fs/cgroup")
V1_SHARES = Path("/sys/fs/cgroup/cpu")
MOST_SHARES = (
    8192  # less than the instrument at its priority of -20 (88761): it is suspected first, so it is served first
)


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
        _weigh(path, MOST_SHARES)


def _weigh(group: str, shares: int) -> None:
    for path, value in (
        (V1_SHARES / group / "cpu.shares", shares),
        (V2 / group / "cpu.weight", 1 + ((shares - 2) * 9999) // 262142),
    ):
        if path.exists():
            path.write_text(str(value))
            return
