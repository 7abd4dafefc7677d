"""Network namespaces for one test: made by ip(8), entered by the calling thread, gone afterwards."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_SGRO, ETHTOOL_STXCSUM = 0x8946, 0x2C, 0x17
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(handle: int) -> None:
    if _libc.setns(handle, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Network:
    """Namespaces by short names, and the processes started in them."""

    prefix: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def full(self, node: str) -> str:
        return f"{self.prefix}-{node}"

    def ip(self, node: str, *lines: str) -> None:
        done = subprocess.run(
            ["ip", "-n", self.full(node), "-batch", "-"],
            input="\n".join(lines),
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def entered(self, node: str) -> Iterator[None]:
        """The calling thread lives in that namespace while the context lasts."""
        with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", self.full(node)).open() as wanted:
            _enter(wanted.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def sysctl(self, node: str, name: str, value: str) -> None:
        with self.entered(node):
            Path("/proc/sys/net", name).write_text(value)

    def like_a_lab(self, node: str, interface: str) -> None:
        """GRO on, so that redirected frames are received; checksums computed before they reach an XDP program."""
        with self.entered(node), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for command, value in ((ETHTOOL_SGRO, 1), (ETHTOOL_STXCSUM, 0)):
                data = ctypes.create_string_buffer(struct.pack("II", command, value))
                request = struct.pack("16sP", interface.encode(), ctypes.addressof(data)) + bytes(16)
                fcntl.ioctl(control, SIOCETHTOOL, request)

    def start(self, node: str, *argv: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.full(node)}", *argv], env={**os.environ, **(environment or {})}
        )
        self.processes.append(process)
        return process

    def socket(
        self,
        node: str,
        kind: socket.SocketKind,
        family: socket.AddressFamily = socket.AF_INET,
        protocol: int = 0,
    ) -> socket.socket:
        """A socket of that namespace, for use from anywhere."""
        with self.entered(node):
            return socket.socket(family, kind, protocol)


@contextmanager
def namespaces(*nodes: str) -> Iterator[Network]:
    """Fresh namespaces, one a node."""
    network = Network(f"npr{uuid.uuid4().hex[:8]}")
    try:
        for node in nodes:
            subprocess.run(["ip", "netns", "add", network.full(node)], check=True)
            # No neighbour can be asked for over IPv6 until a link-local address is through DAD: up to two seconds.
            network.sysctl(node, "ipv6/conf/default/accept_dad", "0")
        yield network
    finally:
        for process in network.processes:
            process.kill()
            process.wait()
        for node in nodes:
            subprocess.run(["ip", "netns", "delete", network.full(node)], capture_output=True, check=False)
