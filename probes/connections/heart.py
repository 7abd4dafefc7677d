"""One long-lived HTTP connection that beats: a request, its answer, and what else can become of it. Judges nothing."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from probes.connections.http1 import Http1
from probes.connections.http2 import Http2
from probes.connections.log import Beat, Broken, BrokenBy, Closed, Line, Opened
from probes.connections.speech import Answer, Goodbye, Heard, Offence, Speech
from probes.connections.target import Target
from probes.connections.tls import Tls

GOODBYE_S = 1.0
"""How long the end that announced a close is given to close, before we do."""


def speech_of(target: Target) -> Speech:
    """What is spoken to that target."""
    if target.http == "2":
        return Http2(target.host, target.path, target.identity, "https" if target.tls else "http")
    return Http1(target.host, target.path, target.identity)


class Keeper(Protocol):
    """What a connection needs of whoever keeps it."""

    interval_ns: int
    stall_ns: int

    def write(self, line: Line) -> None: ...

    def answered(self, heart: Heart) -> None:
        """Had an answer."""

    def over(self, heart: Heart) -> None:
        """Broken, or closed by the protocol: its place is empty."""

    def released(self, heart: Heart) -> None:
        """Its socket is closed: its source port is free."""


class Heart(asyncio.Protocol):
    """One established connection: a request every interval, never a second one before the first is answered."""

    def __init__(
        self,
        keeper: Keeper,
        target: Target,
        place: tuple[int, int],
        sport: int,
        *,
        next_due: float,
        started_ns: int,
        tls: Tls | None = None,
    ) -> None:
        self.id, self.incarnation = place
        self.sport = sport
        self.next_due = next_due
        self.sent_ns: int | None = None
        self._keeper = keeper
        self._target = target
        self._started_ns = started_ns
        self._loop = asyncio.get_running_loop()
        self._speech = speech_of(target)
        self._tls = tls
        self._last = False  # whether the connection ends, by the protocol, with the answer that is waited for
        self._backend: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._over = False
        self._transport: asyncio.Transport | None = None

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        to, now = self._target, time.monotonic_ns()
        self._keeper.write(
            Opened(
                self.id,
                self.incarnation,
                to.src,
                self.sport,
                to.dst,
                to.dport,
                now,
                self._started_ns,
                to.http,
                to.tls is not None,
            )
        )
        self._send()
        self._schedule()
        if self._tls is not None:
            self.data_received(b"")  # what came together with the end of the handshake

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        ended = False
        if self._tls is not None:
            try:
                data, ended = self._tls.read(data)
            except ssl.SSLError:
                self._break("closed")
                return
        self._take(self._speech.hear(data))
        if ended and not self._over:
            self._hung_up()
        if not self._over:
            self._write(self._speech.owed())

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._break("reset" if isinstance(exc, ConnectionResetError | BrokenPipeError) else "stall")
        elif not self._over:
            self._hung_up()
        self._keeper.released(self)

    # -- what was heard --------------------------------------------------------------------------------------------

    def _take(self, heard: Iterable[Heard]) -> None:
        for one in heard:
            if self._over:
                return
            match one:
                case Answer():
                    self._answer(one)
                case Goodbye(owes):
                    self._last = True
                    if not owes:
                        self._close()
                case Offence(by):
                    self._break(by)

    def _hung_up(self) -> None:
        if self.sent_ns is not None:
            self._take(self._speech.hang_up())
        self._break("closed")

    def _answer(self, answer: Answer) -> None:
        last = answer.last or self._last
        if self.sent_ns is None:  # to nothing we asked: a server's last words, if it announces that they are
            self._close() if last else self._break("closed")
            return
        sent, self.sent_ns = self.sent_ns, None
        if self._stall is not None:
            self._stall.cancel()
        by = answer.backend
        self._keeper.write(Beat(self.id, self.incarnation, sent, time.monotonic_ns(), answer.status, by))
        self._keeper.answered(self)
        if self._backend is None:
            self._backend = by
        elif by is not None and by != self._backend:
            self._break("other-backend")
            return
        if last:
            self._close()

    # -- beating ---------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        interval = self._keeper.interval_ns / 1e9
        now = self._loop.time()
        while self.next_due <= now:
            self.next_due += interval
        self._timer = self._loop.call_at(self.next_due, self._tick)

    def _tick(self) -> None:
        if self.sent_ns is None:
            self._send()
        self._schedule()

    def _send(self) -> None:
        self.sent_ns = time.monotonic_ns()
        # What has arrived is read before any timer runs, so our own lateness never makes a stall.
        self._stall = self._loop.call_later(self._keeper.stall_ns / 1e9, self._break, "stall")
        self._write(self._speech.ask())

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        if self._tls is not None:
            data = self._tls.write(data)
        if data:
            self._transport.write(data)

    # -- ending ----------------------------------------------------------------------------------------------------

    def _end(self, line: Line, leave: Callable[[asyncio.Transport], object]) -> None:
        self._over = True
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._keeper.write(line)
        if self._transport is not None:
            leave(self._transport)
        self._keeper.over(self)

    def leave(self) -> None:
        """Ends it of our own will; its place is filled anew."""
        if not self._over:
            self._end(Closed(self.id, self.incarnation, time.monotonic_ns()), lambda t: t.abort())

    def _close(self) -> None:
        """The protocol said so: no harm done. The other end closes first, so that no port of ours waits for it."""
        self._end(
            Closed(self.id, self.incarnation, time.monotonic_ns()), lambda t: self._loop.call_later(GOODBYE_S, t.abort)
        )

    def _break(self, by: BrokenBy) -> None:
        if not self._over:
            line = Broken(self.id, self.incarnation, by, time.monotonic_ns(), self.sent_ns)
            self._end(line, lambda transport: transport.abort())
