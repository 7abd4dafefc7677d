"""What the tests of the load share: a site that minds its name, sockets by process and namespace, and where they go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probes.load import LoadRun, Target
from tests.probes import conftest as probes
from tests.probes.wire import SERVER, Wire

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
    held: set[str] = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(fd.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        if name.startswith("socket:["):
            held.add(name[8:-1])
    found: set[Tcp] = set()
    for line in Path(f"/proc/{seen_from}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and fields[9] in held:
            (local, _), (remote, port) = (end.split(":") for end in fields[1:3])
            found.add(Tcp(fields[9], _dotted(local), _dotted(remote), int(port, 16)))
    return found


def namespaces(pid: int) -> dict[str, str]:
    """The network namespace of every thread, by the thread's name."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(task / "comm").read_text().strip(): str((task / "ns/net").readlink()) for task in tasks}


def _dotted(word: str) -> str:
    return ".".join(str(b) for b in reversed(bytes.fromhex(word)))
