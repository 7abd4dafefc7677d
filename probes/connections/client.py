"""Keeps a fixed number of HTTP connections open, each in its use, and writes what happens to each. Judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine

import msgspec

from probes.connections.heart import Heart
from probes.connections.held import Held
from probes.connections.log import Asked, Beat, Line, Pulse, Refused
from probes.connections.opening import establish, why
from probes.connections.places import Place
from probes.connections.stream import Stream

RETRY_S = 0.2
PULSE_S = 0.1
ASKED_WITHIN_S = 0.5
"""So long takes it to send a heartbeat on each idle connection of a half: silence begins on them at different times again."""
RENEW, ASK = b"renew", (b"ask 0", b"ask 1")
"""What is said to us on standard input, a line each."""


class Plan(msgspec.Struct, frozen=True):
    """What to keep open. Source ports are taken in turn, `ports` from `base_port` up."""

    places: tuple[Place, ...]
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
        self._waiting = {place.id for place in plan.places}
        self._log = os.open(plan.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._next_port = 0
        self._ports: set[int] = set()
        self._next_attempt = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: set[Held] = set()
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
        busy = [place.id for place in self.plan.places if place.use == "busy"]
        phases = {place: n * self.plan.interval_ns / len(busy) / 1e9 for n, place in enumerate(busy)}
        for place in self.plan.places:
            self._spawn(place, 0, start + phases.get(place.id, 0.0))
        due = self._loop.time()
        while True:
            # not a wait for anything: this is the clock by which our own lateness is seen
            due += PULSE_S
            await asyncio.sleep(due - self._loop.time())
            now, now_ns = self._loop.time(), time.monotonic_ns()
            waiting = tuple(
                (h.id, h.incarnation, h.sent_ns)
                for h in self._held
                if h.sent_ns is not None and now_ns - h.sent_ns > h.told_ns
            )
            self.write(Pulse(now_ns, max(0, int((now - due) * 1e9)), waiting))
            due = max(due, now - PULSE_S)

    def told(self, line: bytes) -> None:
        """Does what it was told: RENEW or one of ASK. Raises ValueError for anything else."""
        if line == RENEW:
            self._renew()
        else:
            self._in_background(self._ask(ASK.index(line)))

    def _renew(self) -> None:
        """Every connection is left and opened anew, as a client's that came only now: in the order of their places, so that the
        idle ones of each target are opened at times as different as can be."""
        for held in sorted(self._held, key=lambda held: held.id):
            held.leave()

    async def _ask(self, half: int) -> None:
        began, start = time.monotonic_ns(), self._loop.time()
        idle = [held for held in self._held if isinstance(held, Heart) and held.place.half == half]
        sent = []
        for n, heart in enumerate(sorted(idle, key=lambda held: held.id)):
            # not a wait for anything: a pace
            await asyncio.sleep(start + n * ASKED_WITHIN_S / len(idle) - self._loop.time())
            if (sent_ns := heart.ask()) is not None:
                sent.append((heart.id, heart.incarnation, sent_ns))
        self.write(Asked(half, began, tuple(sent)))

    def answered(self, held: Held) -> None:
        """When all places have had their first answer, we are ready."""
        if self._waiting:
            self._waiting.discard(held.id)
            if not self._waiting:
                self._flush()
                self._ready()

    def over(self, held: Held) -> None:
        """A connection broke or was closed: another takes its place, from another source port, keeping its phase."""
        self._held.discard(held)
        self._spawn(held.place, held.incarnation + 1, held.next_due, held.reopen_at)

    def released(self, held: Held) -> None:
        """A source port is free again."""
        self._ports.discard(held.sport)

    def _spawn(self, place: Place, incarnation: int, phase: float, not_before: float = 0.0) -> None:
        self._in_background(self._open(place, incarnation, phase, not_before))

    def _in_background(self, doing: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, place: Place, incarnation: int, phase: float, not_before: float) -> None:
        target = place.target
        last = max(self._loop.time(), not_before) - RETRY_S
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
                self._ports.discard(sport)
                ended = time.monotonic_ns()
                self.write(Refused(place.id, sport, started, ended, why(error), target.dst, target.dport))
                continue
            kind = Stream if place.use == "stream" else Heart
            held = kind(self, place, incarnation, sport, next_due=phase, started_ns=started, tls=made.tls)
            self._held.add(held)
            await self._loop.create_connection(lambda held=held: held, sock=made.sock)  # type: ignore[misc]
            return

    def _take_port(self) -> int:
        for _ in range(self.plan.ports):
            port = self.plan.base_port + self._next_port % self.plan.ports
            self._next_port += 1
            if port not in self._ports:
                self._ports.add(port)
                return port
        raise RuntimeError(f"all {self.plan.ports} source ports from {self.plan.base_port} are in use")


async def serve(plan: Plan, stop: asyncio.Event, ready: Callable[[], None], told: int) -> None:
    """Runs a plan until `stop`, or until whoever holds the other end of `told` is gone; does what it is told there, line by line."""
    client = Client(plan, ready)
    loop, said = asyncio.get_running_loop(), bytearray()

    def hear() -> None:
        said.extend(data := os.read(told, 4096))
        if not data:
            stop.set()
            loop.remove_reader(told)
        *lines, said[:] = said.split(b"\n")
        for line in lines:
            client.told(bytes(line))

    loop.add_reader(told, hear)
    running = asyncio.ensure_future(client.run())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    stopped.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
