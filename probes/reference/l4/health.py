"""Decides from check results who is healthy, and does the checks. It must not know rings, routes or maps.

A check starts every interval whether or not earlier ones have ended, so a dead backend is down after
(fall - 1) intervals and one timeout; each check has a socket of its own, so that checks spread over all paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from .config import Backend, Check, Service, Timing

_BIND_ADDRESS_NO_PORT = 24  # linux/in.h


@dataclass(frozen=True)
class Health:
    """One backend for one service. `up` is None until results have decided; `streak` counts results against it."""

    up: bool | None = None
    streak: int = 0
    last: bool | None = None

    def after(self, success: bool, timing: Timing) -> Health:
        """The state after one more result."""
        if success == self.up:
            return Health(self.up, 0, success)
        streak = self.streak + 1 if success == self.last or self.up is not None else 1
        if streak >= (timing.rise if success else timing.fall):
            return Health(success, 0, success)
        return replace(self, streak=streak, last=success)


def http_request(check: Check) -> bytes:
    """The request that asks; one per connection, so that accepting connections is checked as well."""
    lines = (f"GET {check.path} HTTP/1.1", f"Host: {check.host}", "User-Agent: l4-check", "Connection: close", "", "")
    return "\r\n".join(lines).encode()


def http_success(start: bytes) -> bool:
    """Whether an answer's first bytes are a status of 2xx or 3xx."""
    words = start.split(b" ", 2)
    return len(words) >= 2 and words[0].startswith(b"HTTP/1.") and words[1][:1] in {b"2", b"3"}


async def _http(source: IPv4Address, target: tuple[str, int], check: Check) -> bool:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        # Reserves no port before the connection's other end is known; else many checks would exhaust them.
        connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        connection.bind((str(source), 0))
        await loop.sock_connect(connection, target)
        await loop.sock_sendall(connection, http_request(check))
        start = b""
        while len(start) < len(b"HTTP/1.1 200"):
            more = await loop.sock_recv(connection, 4096)
            if not more:
                return False
            start += more
        return http_success(start)


async def _udp(source: IPv4Address, target: tuple[str, int], _check: Check) -> bool:
    loop = asyncio.get_running_loop()
    nonce = os.urandom(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        asking.bind((str(source), 0))
        asking.connect(target)  # so that a port nobody listens on is an error at once
        await loop.sock_sendall(asking, nonce)
        return (await loop.sock_recv(asking, 4096)).startswith(nonce)


_PROBES: dict[str, Callable[[IPv4Address, tuple[str, int], Check], Awaitable[bool]]] = {"http": _http, "udp": _udp}


class Checker:
    """Checks one backend for one service, and calls `changed` when its health has changed."""

    def __init__(
        self, service: Service, backend: Backend, timing: Timing, source: IPv4Address, changed: Callable[[], None]
    ) -> None:
        self.service, self.backend, self.health = service, backend, Health()
        self._timing, self._source, self._changed = timing, source, changed
        self._newest = 0
        self._started = 0

    async def once(self) -> None:
        """One check. A result that a later check's result has overtaken is old news and is left out."""
        self._started += 1
        number = self._started
        success = False
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._timing.timeout_s):
                target = (str(self.backend.address), self.service.port)
                success = await _PROBES[self.service.check.kind](self._source, target, self.service.check)
        if number < self._newest:
            return
        self._newest = number
        before, self.health = self.health, self.health.after(success, self._timing)
        if before.up != self.health.up:
            self._changed()
