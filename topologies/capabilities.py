"""Capabilities of nodes: which there are, which a node has without asking, which only where its file asks. Pure; see capabilities(7).

A router or balancer needs the network, BPF and to look at itself; nothing in a lab needs the host's clock, modules or devices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

PREFIX = "CAP_"
ALL = "ALL"
NAMES = tuple(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE".split()
)
"""In the order of their numbers."""
ONLY_ASKED = frozenset({"SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME", "MKNOD"})
"""What reaches beyond the node, to the host itself."""


def named(text: str) -> str | None:
    """The name as it is here, `ALL` among them, of one in a file (`net_admin`, `CAP_NET_ADMIN`); None where there is none such."""
    name = text.upper().removeprefix(PREFIX)
    return name if name in NAMES or name == ALL else None


def of_bits(bits: int) -> tuple[str, ...]:
    """Names by the mask of /proc/PID/status."""
    return tuple(name for number, name in enumerate(NAMES) if bits >> number & 1)


def granted(host: Collection[str], asked: Collection[str]) -> tuple[str, ...]:
    """What a node gets of what the host has."""
    return tuple(name for name in host if name not in ONLY_ASKED or name in asked or ALL in asked)


def beyond(host: Collection[str], asked: Iterable[str]) -> tuple[str, ...]:
    """What a node asks for and the host cannot give."""
    return tuple(name for name in asked if name != ALL and name not in host)
