"""One established HTTP connection: what is said and heard on it, and how it may end. Judges nothing, and knows not what it is for."""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol

from probes.connections.http1 import Http1
from probes.connections.http2 import Http2
from probes.connections.log import Broken, BrokenBy, Closed, Line, Opened
from probes.connections.places import Place
from probes.connections.speech import Answer, Goodbye, Heard, Offence, Speech
from probes.connections.target import Target
from probes.connections.tls import Tls

GOODBYE_S = 1.0
"""How long the end that announced a close is given to close, before we do."""
TOLD_NS = 100_000_000
"""What waits for longer than this is told with the next pulse."""


def speech_of(target: Target, *, streaming: bool = False) -> Speech:
    """What is spoken to that target."""
    if target.http == "2":
        scheme = "https" if target.tls else "http"
        return Http2(target.host, target.path, target.identity, scheme, streaming=streaming)
    return Http1(target.host, target.path, target.identity, streaming=streaming)


class Keeper(Protocol):
    """What a connection needs of whoever keeps it."""

    interval_ns: int
    stall_ns: int

    def write(self, line: Line) -> None: ...

    def answered(self, held: Held) -> None:
        """Had an answer."""

    def over(self, held: Held) -> None:
        """Broken, or closed by the protocol: its place is empty."""

    def released(self, held: Held) -> None:
        """Its socket is closed: its source port is free."""


class Held(asyncio.Protocol, ABC):
    """`sent_ns`: since when something is waited for, None where nothing is; `reopen_at`: not before then, on the loop's clock, its
    place is filled anew."""

    told_ns = TOLD_NS

    def __init__(
        self,
        keeper: Keeper,
        place: Place,
        incarnation: int,
        sport: int,
        *,
        next_due: float,
        started_ns: int,
        tls: Tls | None = None,
    ) -> None:
        self.place, self.incarnation = place, incarnation
        self.sport = sport
        self.next_due = next_due
        self.sent_ns: int | None = None
        self.reopen_at = 0.0
        self._keeper = keeper
        self._started_ns = started_ns
        self._loop = asyncio.get_running_loop()
        self._speech = speech_of(place.target, streaming=place.use == "stream")
        self._tls = tls
        self._last = False  # whether the connection ends, by the protocol, with the answer that is waited for
        self._backend: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._over = False
        self._transport: asyncio.Transport | None = None

    @property
    def id(self) -> int:
        return self.place.id

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        place, to = self.place, self.place.target
        self._keeper.write(
            Opened(
                place.id,
                self.incarnation,
                to.src,
                self.sport,
                to.dst,
                to.dport,
                time.monotonic_ns(),
                self._started_ns,
                to.http,
                to.tls is not None,
                place.use,
                place.half,
            )
        )
        self._begin()
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

    @abstractmethod
    def _begin(self) -> None:
        """It is established: what is said first."""

    @abstractmethod
    def _answer(self, answer: Answer, sent_ns: int) -> None:
        """A whole answer came to what was sent then."""

    def _take(self, heard: Iterable[Heard]) -> None:
        for one in heard:
            if self._over:
                return
            self._hear(one)

    def _hear(self, one: Heard) -> None:
        match one:
            case Answer():
                if self.sent_ns is None:  # to nothing we asked: a server's last words, if it announces that they are
                    self._close() if one.last or self._last else self._break("closed")
                else:
                    self._answer(one, self.sent_ns)
            case Goodbye(owes):
                self._last = True
                if not owes:
                    self._close()
            case Offence(by):
                self._break(by)
            case _:
                pass

    def _hung_up(self) -> None:
        if self.sent_ns is not None:
            self._take(self._speech.hang_up())
        self._break("closed")

    def _named(self, backend: str | None) -> None:
        """That backend answered; another than before breaks the connection."""
        if self._backend is None:
            self._backend = backend
        elif backend is not None and backend != self._backend:
            self._break("other-backend")

    # -- what is said ----------------------------------------------------------------------------------------------

    def _send(self) -> None:
        self.sent_ns = time.monotonic_ns()
        # What has arrived is read before any timer runs, so our own lateness never makes a stall.
        self._stall = self._loop.call_later(self._keeper.stall_ns / 1e9, self._stalled)
        self._write(self._speech.ask())

    def _settle(self) -> None:
        """Nothing is waited for any more."""
        self.sent_ns = None
        if self._stall is not None:
            self._stall.cancel()

    def _stalled(self) -> None:
        self._break("stall")

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
