"""Keeps a fixed number of HTTP/1.1 connections open and beating, and writes what happens to each. Judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
import time
from collections.abc import Callable

import h11
import msgspec

from probes.connections.log import Beat, Broken, BrokenBy, Line, Opened, Pulse, Refused

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CONNECT_TIMEOUT_S = 1.0
RETRY_S = 0.2
PULSE_S = 0.1


class Plan(msgspec.Struct, frozen=True):
    """What to keep open. Source ports are taken in turn from `ports` of them, from `base_port` up."""

    src: str
    dst: str
    dport: int
    count: int
    base_port: int
    ports: int
    host: str
    path: str
    identity: str
    interval_ns: int
    stall_ns: int
    attempts_per_s: int
    log: str


class Client:
    """All connections of one process."""

    def __init__(self, plan: Plan, ready: Callable[[], None]) -> None:
        self.plan = plan
        self._ready = ready
        self._waiting = set(range(plan.count))
        self._log = os.open(plan.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._encode = msgspec.json.Encoder().encode
        self._next_port = 0
        self._held: set[int] = set()
        self._next_attempt = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def write(self, line: Line) -> None:
        """One whole line in one write, so that a reader or a crash never sees half of it."""
        os.write(self._log, self._encode(line) + b"\n")

    async def run(self) -> None:
        """Opens everything and goes on until cancelled."""
        start = self._loop.time()
        for i in range(self.plan.count):
            phase = i * self.plan.interval_ns / self.plan.count / 1e9
            self._spawn(i, 0, start + phase)
        due = self._loop.time()
        while True:
            # not a wait for anything: this is the clock by which our own lateness is seen
            due += PULSE_S
            await asyncio.sleep(due - self._loop.time())
            now = self._loop.time()
            self.write(Pulse(time.monotonic_ns(), max(0, int((now - due) * 1e9))))
            due = max(due, now - PULSE_S)

    def answered(self, connection_id: int) -> None:
        """The first answer on a connection; when all have had theirs, we are ready."""
        if self._waiting:
            self._waiting.discard(connection_id)
            if not self._waiting:
                self._ready()

    def broken(self, heart: Heart) -> None:
        """A connection broke: another takes its place, from another source port, keeping its phase."""
        self._held.discard(heart.sport)
        self._spawn(heart.id, heart.incarnation + 1, heart.next_due)

    def _spawn(self, connection_id: int, incarnation: int, phase: float) -> None:
        task = self._loop.create_task(self._open(connection_id, incarnation, phase))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, connection_id: int, incarnation: int, phase: float) -> None:
        last = self._loop.time() - RETRY_S
        while True:
            slot = max(self._next_attempt, last + RETRY_S)
            self._next_attempt = max(self._next_attempt, self._loop.time()) + 1 / self.plan.attempts_per_s
            await asyncio.sleep(max(0.0, slot - self._loop.time()))
            last = self._loop.time()
            started = time.monotonic_ns()
            sport = self._take_port()
            try:
                sock = await self._connect(sport)
            except OSError as error:
                self._held.discard(sport)
                reason = os.strerror(error.errno) if error.errno else "no handshake in time"
                self.write(Refused(connection_id, sport, started, time.monotonic_ns(), reason))
                continue
            heart = Heart(self, connection_id, incarnation, sport, phase)
            await self._loop.create_connection(lambda heart=heart: heart, sock=sock)  # type: ignore[misc]
            return

    def _take_port(self) -> int:
        for _ in range(self.plan.ports):
            port = self.plan.base_port + self._next_port % self.plan.ports
            self._next_port += 1
            if port not in self._held:
                self._held.add(port)
                return port
        raise RuntimeError(f"all {self.plan.ports} source ports from {self.plan.base_port} are in use")

    async def _connect(self, sport: int) -> socket.socket:
        version = ipaddress.ip_address(self.plan.dst).version
        sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # an end without a long goodbye: its port is free at once, and nothing of ours lingers in the network
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            sock.bind((self.plan.src, sport))
            await asyncio.wait_for(self._loop.sock_connect(sock, (self.plan.dst, self.plan.dport)), CONNECT_TIMEOUT_S)
        except BaseException:
            sock.close()
            raise
        return sock


class Heart(asyncio.Protocol):
    """One established connection: a request every interval, never a second one before the first is answered."""

    def __init__(self, client: Client, connection_id: int, incarnation: int, sport: int, phase: float) -> None:
        self.client = client
        self.id = connection_id
        self.incarnation = incarnation
        self.sport = sport
        self.next_due = phase
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.CLIENT)
        self._sent_ns: int | None = None
        self._status = 0
        self._answered_by: str | None = None
        self._backend: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._over = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        plan = self.client.plan
        self.client.write(
            Opened(self.id, self.incarnation, plan.src, self.sport, plan.dst, plan.dport, time.monotonic_ns())
        )
        self._send()
        self._schedule()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        try:
            while not self._over:
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.Response):
                    self._status = event.status_code
                    names = [v for n, v in event.headers if n == self.client.plan.identity.lower().encode()]
                    self._answered_by = names[0].decode("latin-1") if names else None
                elif isinstance(event, h11.EndOfMessage):
                    self._answer()
                elif isinstance(event, h11.ConnectionClosed):
                    self._break("closed")
        except h11.RemoteProtocolError:
            self._break("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._break("closed")
        else:
            self._break("reset" if isinstance(exc, ConnectionResetError | BrokenPipeError) else "stall")

    def _schedule(self) -> None:
        interval = self.client.plan.interval_ns / 1e9
        now = self._loop.time()
        while self.next_due <= now:
            self.next_due += interval
        self._timer = self._loop.call_at(self.next_due, self._tick)

    def _tick(self) -> None:
        if self._sent_ns is None:
            self._send()
        self._schedule()

    def _send(self) -> None:
        plan = self.client.plan
        assert self._transport is not None
        request = h11.Request(method="GET", target=plan.path, headers=[("Host", plan.host), ("User-Agent", "nospof")])
        data = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        self._sent_ns = time.monotonic_ns()
        # What has arrived is read before any timer runs, so our own lateness never makes a stall.
        self._stall = self._loop.call_later(plan.stall_ns / 1e9, self._break, "stall")
        self._transport.write(data)

    def _answer(self) -> None:
        now = time.monotonic_ns()
        assert self._sent_ns is not None
        if self._stall is not None:
            self._stall.cancel()
        self.client.write(Beat(self.id, self.incarnation, self._sent_ns, now, self._status, self._answered_by))
        self._sent_ns = None
        self.client.answered(self.id)
        if self._backend is None:
            self._backend = self._answered_by
        elif self._answered_by is not None and self._answered_by != self._backend:
            self._break("other-backend")
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._break("closed")

    def _break(self, by: BrokenBy) -> None:
        if self._over:
            return
        self._over = True
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self.client.write(Broken(self.id, self.incarnation, by, time.monotonic_ns(), self._sent_ns))
        if self._transport is not None:
            self._transport.abort()
        self.client.broken(self)


async def serve(plan: Plan, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Runs a plan until `stop`."""
    client = Client(plan, ready)
    running = asyncio.ensure_future(client.run())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    stopped.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
