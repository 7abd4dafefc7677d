"""What the tests of the load share: a site that minds its name, sockets by process and namespace, and where they go."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from probes.load import LoadRun, Target
from tests.probes import conftest as probes
from tests.probes.wire import SERVER, Wire

PIDFD_GETFD = 438
WEB = Target("web", SERVER, 80, "web.test", "/")


def wait_until(condition: Callable[[], bool], missing: str) -> None:
    """Patient: load yields the CPU to whatever measures, that of other tests included."""
    probes.wait_until(condition, missing, deadline_s=30)


def site(lab: Wire, address: str = SERVER) -> subprocess.Popen[bytes]:
    """A site that listens when this returns."""
    script = Path(__file__).with_name("site.py")
    process = subprocess.Popen(
        ["nsenter", f"--net={lab.netns('s')}", sys.executable, "-S", str(script), address, "80"],
        stdout=subprocess.PIPE,
    )
    lab.processes.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    return process


def load_run(lab: Wire, scratch: Path, *names: str, users: int = 2, rate_per_s: float = 40) -> LoadRun:
    """Our own users from vantages that are all the wire's client."""
    return LoadRun(scratch, dict.fromkeys(names, lab.netns("c")), (WEB,), users=users, rate_per_s=rate_per_s)


@dataclass(frozen=True)
class Tcp:
    """One established TCP/IPv4 socket."""

    inode: str
    local: str
    remote: str
    remote_port: int


def sockets(pid: int, seen_from: int) -> set[Tcp]:
    """The established sockets of a process that exist in the network namespace of another (of its main thread)."""
    held = _held(pid)
    found: set[Tcp] = set()
    for line in Path(f"/proc/{seen_from}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and fields[9] in held:
            (local, _), (remote, port) = (end.split(":") for end in fields[1:3])
            found.add(Tcp(fields[9], _dotted(local), _dotted(remote), int(port, 16)))
    return found


def listening(pids: Collection[int], seen_from: int) -> list[str]:
    """The TCP sockets, of either family, on which these processes wait for others, in the network namespace of another."""
    held = {inode for pid in pids for inode in _held(pid)}
    tables = (Path(f"/proc/{seen_from}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    return [line for table in tables for line in table if line.split()[3] == "0A" and line.split()[9] in held]


def unix_sockets(pid: int, seen_from: int) -> set[str]:
    """Inodes of the connected Unix sockets of a process that were made in the network namespace of another."""
    held = _held(pid)
    lines = (line.split() for line in Path(f"/proc/{seen_from}/net/unix").read_text().splitlines()[1:])
    return {fields[6] for fields in lines if fields[5] == "03" and fields[4] == "0001" and fields[6] in held}


def _held(pid: int) -> dict[str, int]:
    """Inode → descriptor of every socket of a process."""
    held: dict[str, int] = {}
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(fd.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        if name.startswith("socket:["):
            held[name[8:-1]] = int(fd.name)
    return held


def shut(pid: int, inode: str) -> None:
    """Breaks a connection under its process, as a network would (pidfd_getfd(2), shutdown(2))."""
    libc, process = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    try:
        taken = libc.syscall(PIDFD_GETFD, process, _held(pid)[inode], 0)
        assert taken >= 0, os.strerror(ctypes.get_errno())
        with socket.socket(fileno=taken) as copy:
            copy.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(process)


def namespaces(pid: int) -> dict[str, str]:
    """The network namespace of every thread, by the thread's name."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(task / "comm").read_text().strip(): str((task / "ns/net").readlink()) for task in tasks}


def _dotted(word: str) -> str:
    return ".".join(str(b) for b in reversed(bytes.fromhex(word)))
