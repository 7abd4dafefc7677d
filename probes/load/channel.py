"""A worker whose requests leave from a client's network namespace while it talks to its master by a Unix socket of the host's.

Nobody but us can reach that socket: it lies in a directory that only we can enter. A network namespace belongs to a thread. ZeroMQ
opens, reopens and serves its connections in an I/O thread of its own, born with the first socket of a context; gevent opens every
other socket in the main thread. So the worker makes its channel first, then moves the main thread alone. Knows not what is asked
there.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import zmq.green as zmq
from gevent.resolver.blocking import Resolver
from locust.env import Environment
from locust.rpc import zmqrpc
from locust.runners import WorkerRunner

CLONE_NEWNET = 0x40000000
AI_NUMERICHOST = 0x0004
MEETING = "master"


def enter_netns(netns: Path) -> None:
    """Moves the calling thread, and no other, into a network namespace (setns(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    with netns.open() as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(netns))


class NumericOnly(Resolver):  # type: ignore[misc]
    """Addresses only. A lab has no resolver: a name fails at once, instead of stalling its user until a time-out."""

    def getaddrinfo(
        self, host: str | bytes | None, port: object, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        return super().getaddrinfo(host, port, family, type, proto, flags | AI_NUMERICHOST)


def address_in(directory: Path) -> str:
    """Where master and workers meet, as each of them sees it: by a descriptor that they inherit, since a socket's path is short."""
    return f"/proc/self/fd/{os.open(directory, os.O_PATH | os.O_DIRECTORY)}/{MEETING}"


class UnixServer(zmqrpc.Server):
    """Locust's server, bound to a path where Locust says a host."""

    def __init__(self, host: str, port: int) -> None:
        # not Locust's own constructor: that knows TCP alone
        self.socket = zmq.Context().socket(zmq.ROUTER)
        self.socket.bind(f"ipc://{host}")
        self.port = port


class UnixClient(zmqrpc.Client):
    """Its client. `context`: one whose threads exist already, and are where they were born; without one a new one is made."""

    def __init__(self, host: str, port: int, identity: str, context: zmq.Context[Any] | None = None) -> None:
        del port
        self.socket = (context or zmq.Context()).socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self.socket.connect(f"ipc://{host}")


def meet_by_path() -> None:
    """Has every runner of this process talk by Unix sockets from now on."""
    vars(zmqrpc).update(Server=UnixServer, Client=UnixClient)


class NamespacedWorker(WorkerRunner):
    """Locust's worker, in two places at once. `meeting`: the master's address; call `meet_by_path` before."""

    def __init__(self, environment: Environment, meeting: str, netns: Path) -> None:
        self._netns: Path | None = netns
        super().__init__(environment, meeting, 0)

    def connect_to_master(self) -> None:
        """Enters the namespace once the channel's threads exist, and before the master can ask for the first user."""
        if self._netns is not None:
            enter_netns(self._netns)
            self._netns = None
        super().connect_to_master()  # type: ignore[no-untyped-call]

    def reset_connection(self) -> None:
        """Locust's answer to a broken channel, without leaving the host's network: by a new context its thread would be born in
        the lab."""
        context = self.client.socket.context
        self.client.close(linger=0)
        self.client = UnixClient(self.master_host, 0, self.client_id, context)
