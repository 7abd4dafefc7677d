"""Keeps a fixed number of HTTP connections open and beating, and writes what happens to each. Judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

import msgspec

from probes.connections.heart import Heart
from probes.connections.log import Beat, Line, Pulse, Refused
from probes.connections.opening import establish, why
from probes.connections.target import Target

RETRY_S = 0.2
PULSE_S = 0.1
RENEW = signal.SIGUSR1


class Plan(msgspec.Struct, frozen=True):
    """What to keep open: place i to target i % targets. Source ports are taken in turn, `ports` from `base_port` up."""

    targets: tuple[Target, ...]
    count: int
    base_port: int
    ports: int
    interval_ns: int
    stall_ns: int
    attempts_per_s: int
    log: str


class Client:
    """All connections of one process."""

    def __init__(self, plan: Plan, ready: Callable[[], None]) -> None:
        self.plan = plan
        self.interval_ns = plan.interval_ns
        self.stall_ns = plan.stall_ns
        self._ready = ready
        self._waiting = set(range(plan.count))
        self._log = os.open(plan.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._next_port = 0
        self._held: set[int] = set()
        self._next_attempt = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearts: set[Heart] = set()
        self._loop = asyncio.get_running_loop()

    def write(self, line: Line) -> None:
        """Whole lines in one write, so that a reader or a crash never sees half of one. Beats wait for the next pulse."""
        self._lines.append(self._encode(line))
        if not isinstance(line, Beat):
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            os.write(self._log, b"\n".join(self._lines) + b"\n")
            self._lines.clear()

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
            now, now_ns = self._loop.time(), time.monotonic_ns()
            waiting = tuple(
                (h.id, h.incarnation, h.sent_ns)
                for h in self._hearts
                if h.sent_ns is not None and now_ns - h.sent_ns > PULSE_S * 1e9
            )
            self.write(Pulse(now_ns, max(0, int((now - due) * 1e9)), waiting))
            due = max(due, now - PULSE_S)

    def renew(self) -> None:
        """Every connection is left and opened anew, as a client's that came only now."""
        for heart in list(self._hearts):
            heart.leave()

    def answered(self, heart: Heart) -> None:
        """When all places have had their first answer, we are ready."""
        if self._waiting:
            self._waiting.discard(heart.id)
            if not self._waiting:
                self._flush()
                self._ready()

    def over(self, heart: Heart) -> None:
        """A connection broke or was closed: another takes its place, from another source port, keeping its phase."""
        self._hearts.discard(heart)
        self._spawn(heart.id, heart.incarnation + 1, heart.next_due)

    def released(self, heart: Heart) -> None:
        """A source port is free again."""
        self._held.discard(heart.sport)

    def _spawn(self, connection_id: int, incarnation: int, phase: float) -> None:
        task = self._loop.create_task(self._open(connection_id, incarnation, phase))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, connection_id: int, incarnation: int, phase: float) -> None:
        target = self.plan.targets[connection_id % len(self.plan.targets)]
        last = self._loop.time() - RETRY_S
        while True:
            slot = max(self._next_attempt, last + RETRY_S)
            self._next_attempt = max(self._next_attempt, self._loop.time()) + 1 / self.plan.attempts_per_s
            await asyncio.sleep(max(0.0, slot - self._loop.time()))
            last = self._loop.time()
            started = time.monotonic_ns()
            sport = self._take_port()
            try:
                made = await establish(target, sport)
            except OSError as error:
                self._held.discard(sport)
                ended = time.monotonic_ns()
                self.write(Refused(connection_id, sport, started, ended, why(error), target.dst, target.dport))
                continue
            heart = Heart(
                self,
                target,
                (connection_id, incarnation),
                sport,
                next_due=phase,
                started_ns=started,
                tls=made.tls,
            )
            self._hearts.add(heart)
            await self._loop.create_connection(lambda heart=heart: heart, sock=made.sock)  # type: ignore[misc]
            return

    def _take_port(self) -> int:
        for _ in range(self.plan.ports):
            port = self.plan.base_port + self._next_port % self.plan.ports
            self._next_port += 1
            if port not in self._held:
                self._held.add(port)
                return port
        raise RuntimeError(f"all {self.plan.ports} source ports from {self.plan.base_port} are in use")


async def serve(plan: Plan, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Runs a plan until `stop`."""
    client = Client(plan, ready)
    asyncio.get_running_loop().add_signal_handler(RENEW, client.renew)
    running = asyncio.ensure_future(client.run())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    stopped.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
