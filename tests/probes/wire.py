"""Three namespaces in a row, client - router - server, made by ip(8) and sysctls alone. Knows nothing of the probes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLIENT, SERVER = "10.9.1.2", "10.9.2.2"
CLIENT6, SERVER6 = "fd09:1::2", "fd09:2::2"
CLONE_NEWNET = 0x40000000


@dataclass
class Wire:
    """The namespaces' names, processes started in them, and sysctls held open."""

    name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    held: list[Sysctl] = field(default_factory=list)

    def netns(self, node: str) -> Path:
        return Path("/run/netns") / f"{self.name}-{node}"

    def mac(self, node: str, interface: str) -> str:
        """An interface's link-layer address."""
        command = ["ip", "-n", f"{self.name}-{node}", "-o", "link", "show", interface]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return shown.partition("link/ether ")[2].split()[0]

    def responder(self, *arguments: str, node: str = "s") -> subprocess.Popen[bytes]:
        """A responder (tests/probes/responder.py) that listens when this returns."""
        return self.script("responder.py", *arguments, node=node, flags=("-S",))

    def script(
        self, name: str, *arguments: str, node: str = "s", flags: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """A script of this folder in a node, which listens when this returns."""
        process = subprocess.Popen(
            [
                "nsenter",
                f"--net={self.netns(node)}",
                sys.executable,
                *flags,
                str(Path(__file__).with_name(name)),
                *arguments,
            ],
            stdout=subprocess.PIPE,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        return process

    def sysctl(self, node: str, name: str) -> Sysctl:
        opened = Sysctl(self.netns(node), name)
        self.held.append(opened)
        return opened


class Sysctl:
    """One network sysctl of a namespace, held open so that a write takes microseconds."""

    def __init__(self, netns: Path, name: str) -> None:
        self.fd = -1
        thread = threading.Thread(target=self._open, args=(netns, name))  # the thread enters, and ends there
        thread.start()
        thread.join()
        assert self.fd >= 0, f"{name} in {netns}"

    def _open(self, netns: Path, name: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with netns.open() as handle:
            if libc.setns(handle.fileno(), CLONE_NEWNET) == 0:
                self.fd = os.open(f"/proc/sys/net/{name}", os.O_WRONLY)

    def write(self, value: str) -> tuple[int, int]:
        """Writes and returns the monotonic times before and after."""
        before = time.monotonic_ns()
        os.pwrite(self.fd, value.encode(), 0)
        return before, time.monotonic_ns()


def ip(*lines: str, node: str | None = None) -> None:
    """Runs ip(8) commands as one batch."""
    where = [] if node is None else ["-n", node]
    done = subprocess.run(
        ["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def wire() -> Iterator[Wire]:
    """The three namespaces, wired, addressed in both families, and gone afterwards."""
    name = f"npt{uuid.uuid4().hex[:8]}"
    c, r, s = (f"{name}-{node}" for node in "crs")
    built = Wire(name)
    try:
        ip(*(f"netns add {n}" for n in (c, r, s)))
        for node in "crs":
            built.sysctl(node, "ipv6/conf/default/accept_dad").write("0")  # else IPv6 begins seconds late
        ip(f"link add eth1 type veth peer name c netns {r}", node=c)
        ip(f"link add eth1 type veth peer name s netns {r}", node=s)
        for node, (a4, a6), (g4, g6) in (
            (c, (CLIENT, CLIENT6), ("10.9.1.1", "fd09:1::1")),
            (s, (SERVER, SERVER6), ("10.9.2.1", "fd09:2::1")),
        ):
            ip(
                f"address add {a4}/24 dev eth1",
                f"address add {a6}/64 dev eth1 nodad",
                "link set eth1 up",
                "link set lo up",
                node=node,
            )
            side = "c" if node == c else "s"
            ip(
                f"address add {g4}/24 dev {side}",
                f"address add {g6}/64 dev {side} nodad",
                f"link set {side} up",
                node=r,
            )
            ip(f"route add default via {g4}", f"route add default via {g6}", node=node)
        for node in "crs":  # a new namespace inherits it from the host, where Docker turns it on
            built.sysctl(node, "ipv4/ip_forward").write(str(int(node == "r")))
        built.sysctl("r", "ipv6/conf/all/forwarding").write("1")
        yield built
    finally:
        for opened in built.held:
            os.close(opened.fd)
        for process in built.processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for node in (c, r, s):
            subprocess.run(["ip", "netns", "delete", node], capture_output=True, check=False)
