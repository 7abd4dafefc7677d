"""A worker whose requests leave from a client's network namespace while it talks to its master on the host's loopback.

A network namespace belongs to a thread. ZeroMQ opens, reopens and serves its connections in an I/O thread of its own,
born with the first socket of a context; gevent opens every other socket in the main thread. So the worker makes its
channel first, then moves the main thread alone. Knows not what is asked there.
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


class HostClient(zmqrpc.Client):
    """A new socket to the master on a context whose threads exist already, and are where they were born."""

    def __init__(self, context: zmq.Context[Any], host: str, port: int, identity: str) -> None:
        # not Locust's own constructor: that makes a new context, whose I/O thread would be born in the lab
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self.socket.connect(f"tcp://{host}:{port}")


class NamespacedWorker(WorkerRunner):
    """Locust's worker, in two places at once."""

    def __init__(self, environment: Environment, port: int, netns: Path) -> None:
        self._netns: Path | None = netns
        super().__init__(environment, "127.0.0.1", port)

    def connect_to_master(self) -> None:
        """Enters the namespace once the channel's threads exist, and before the master can ask for the first user."""
        if self._netns is not None:
            enter_netns(self._netns)
            self._netns = None
        super().connect_to_master()  # type: ignore[no-untyped-call]

    def reset_connection(self) -> None:
        """Locust's answer to a broken channel, without leaving the host's network."""
        context = self.client.socket.context
        self.client.close(linger=0)
        self.client = HostClient(context, self.master_host, self.master_port, self.client_id)
