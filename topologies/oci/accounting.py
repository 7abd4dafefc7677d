"""CPU of a lab by its cgroups: time spent, dead nodes included, and the nodes' shares. Knows both cgroup versions."""

from __future__ import annotations

from pathlib import Path

from topologies.oci.state import Places

V1 = Path("/sys/fs/cgroup/cpuacct")
V2 = Path("/sys/fs/cgroup")
V1_SHARES = Path("/sys/fs/cgroup/cpu")
FULL_SHARES = 1024
BOOT_SHARES = 32


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


def set_shares(lab: str, node: str, shares: int) -> None:
    """The node's weight among those that want a CPU (cgroup v1's `cpu.shares`; v2's weight by runc's own conversion)."""
    group = f"{Places(lab).cgroup.lstrip('/')}/{node}"
    for path, value in (
        (V1_SHARES / group / "cpu.shares", shares),
        (V2 / group / "cpu.weight", 1 + ((shares - 2) * 9999) // 262142),
    ):
        if path.exists():
            path.write_text(str(value))
            return
