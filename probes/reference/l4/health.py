"""Decides from check results who is healthy, and does the checks. It must not know rings, routes or maps.

A check starts every interval whether or not earlier ones have ended; each has a socket of its own, so that checks spread
over all paths. One that fails is followed by several at once: where one of two paths is dead, some come through. So a
backend is down that answered none of them, after one interval and two timeouts; one that refuses, after one interval and
one retry.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from .config import Backend, Check, Service, Timing

_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
_MAX_HEAD = 8192
_LATE_S = 0.05


class Result(Enum):
    """What one check found. REFUSED is definite: nobody listens there. SILENT may be mere slowness."""

    WELL = "answers"
    DRAINING = "answers, and wants no new connections"
    WRONG = "does not serve"
    REFUSED = "refuses"
    SILENT = "is silent"


_UP = (Result.WELL, Result.DRAINING)


@dataclass(frozen=True)
class Health:
    """One backend for one service. `up` is None until results have decided; `streak` counts results against it."""

    up: bool | None = None
    streak: int = 0
    last: bool | None = None
    refusals: int = 0
    draining: bool = False

    def after(self, result: Result, timing: Timing) -> Health:
        """The state after one more result."""
        success = result in _UP
        refusals = self.refusals + 1 if result is Result.REFUSED else 0
        if self.up and refusals >= timing.refusals:
            return Health(False, 0, False, refusals)
        draining = result is Result.DRAINING if success else self.draining
        if success == self.up:
            return Health(self.up, 0, success, refusals, draining and success)
        streak = self.streak + 1 if success == self.last or self.up is not None else 1
        if streak >= (timing.rise if success else timing.fall):
            return Health(success, 0, success, refusals, draining and success)
        return Health(self.up, streak, success, refusals, draining)


def http_request(check: Check) -> bytes:
    """The request that asks; one per connection, so that accepting connections is checked as well."""
    lines = (f"GET {check.path} HTTP/1.1", f"Host: {check.host}", "User-Agent: l4-check", "Connection: close", "", "")
    return "\r\n".join(lines).encode()


def http_result(head: bytes) -> Result:
    """What an answer's head says: 2xx or 3xx is well; Envoy marks what it says while it is being drained."""
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        return Result.WRONG
    if b"\r\nx-envoy-immediate-health-check-fail:" in head.lower():
        return Result.DRAINING
    return Result.WELL if words[1][:1] in {b"2", b"3"} else Result.WRONG


def failure(error: OSError) -> Result:
    """What an error of a check says about the backend: definite is what it said itself, a reset or "port unreachable".

    That a host or network is unreachable some router says, of one of several ways: the watch over routes knows better.
    """
    return Result.REFUSED if error.errno == errno.ECONNREFUSED else Result.SILENT


async def _http(source: IPv4Address, target: tuple[str, int], check: Check) -> Result:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        # Reserves no port before the connection's other end is known; else many checks would exhaust them.
        connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        connection.bind((str(source), 0))
        await loop.sock_connect(connection, target)
        await loop.sock_sendall(connection, http_request(check))
        start = b""
        while b"\r\n\r\n" not in start and len(start) < _MAX_HEAD:
            more = await loop.sock_recv(connection, 4096)
            if not more:
                break
            start += more
        return http_result(start.partition(b"\r\n\r\n")[0])


async def _udp(source: IPv4Address, target: tuple[str, int], _check: Check) -> Result:
    loop = asyncio.get_running_loop()
    nonce = os.urandom(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        asking.bind((str(source), 0))
        asking.connect(target)  # so that a port nobody listens on is an error at once
        await loop.sock_sendall(asking, nonce)
        return Result.WELL if (await loop.sock_recv(asking, 4096)).startswith(nonce) else Result.WRONG


_PROBES: dict[str, Callable[[IPv4Address, tuple[str, int], Check], Awaitable[Result]]] = {"http": _http, "udp": _udp}


class Checker:
    """Checks one backend for one service, and calls `changed` when its health has changed."""

    def __init__(
        self,
        service: Service,
        backend: Backend,
        timing: Timing,
        source: IPv4Address,
        changed: Callable[[Checker], None],
    ) -> None:
        self.service, self.backend, self.health = service, backend, Health()
        self._timing, self._source, self._changed = timing, source, changed
        self._newest = 0
        self._started = 0
        self._asking_again = False

    def overtake(self) -> None:
        """Whatever checks under way may still find is old news: the way to the backend has changed."""
        self._newest = self._started + 1

    def forget(self) -> None:
        """The backend was away for so long that it has to prove itself anew; whoever calls this knows, so nobody is told."""
        self.health = Health(False)

    async def once(self) -> None:
        """One check. A failure that decides nothing yet is looked into at once: two refusals in a row are no accident, and
        several checks that nobody answers are not the fault of one path."""
        while (result := await self._ask()) is Result.REFUSED and self.health.up:
            await asyncio.sleep(self._timing.retry_s)  # the schedule of checks itself, not a wait for something
        if result in (Result.SILENT, Result.WRONG) and self.health.up and not self._asking_again:
            self._asking_again = True
            try:
                await asyncio.gather(*(self._ask() for _ in range(self._timing.again)))
            finally:
                self._asking_again = False

    async def _ask(self) -> Result | None:
        """None is no result: an answer or a later check's result has overtaken it, or this process was not there to see the
        answer come."""
        self._started += 1
        number = self._started
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timing.timeout_s
        try:
            async with asyncio.timeout_at(end):
                target = (str(self.backend.address), self.service.port)
                result = await _PROBES[self.service.check.kind](self._source, target, self.service.check)
        except TimeoutError:
            if loop.time() - end > _LATE_S:  # without a CPU itself: the answer may have been waiting for long
                return None
            result = Result.SILENT
        except OSError as error:
            result = failure(error)
        if number < self._newest:
            return None
        self._newest = number
        if result in _UP:
            self.overtake()
        self._become(self.health.after(result, self._timing))
        return result

    def _become(self, health: Health) -> None:
        before, self.health = self.health, health
        if (before.up, before.draining) != (health.up, health.draining):
            self._changed(self)
