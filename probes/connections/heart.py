"""One long-lived HTTP/1.1 connection that beats: a request, its answer, and what else can become of it. Judges nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import httptools
import msgspec

from probes.connections.log import Beat, Broken, BrokenBy, Closed, Line, Opened

GOODBYE_S = 1.0
"""How long the end that announced a close is given to close, before we do."""


class Target(msgspec.Struct, frozen=True):
    """Whom to connect to, from which address. `identity` is the header that names the backend."""

    src: str
    dst: str
    dport: int
    host: str
    path: str = "/"
    identity: str = "x-backend"

    @property
    def request(self) -> bytes:
        """A heartbeat's bytes."""
        return f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nUser-Agent: nospof\r\n\r\n".encode("latin-1")


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
        self, keeper: Keeper, target: Target, place: tuple[int, int], sport: int, *, next_due: float, started_ns: int
    ) -> None:
        self.id, self.incarnation = place
        self.sport = sport
        self.next_due = next_due
        self.sent_ns: int | None = None
        self._keeper = keeper
        self._target = target
        self._started_ns = started_ns
        self._loop = asyncio.get_running_loop()
        self._http = httptools.HttpResponseParser(self)
        self._request = target.request
        self._identity = target.identity.lower().encode()
        self._answered_by: str | None = None
        self._announced = False  # that the connection ends with this answer
        self._measured = False  # whether the answer has a length; else its end is the connection's
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
            Opened(self.id, self.incarnation, to.src, self.sport, to.dst, to.dport, now, self._started_ns)
        )
        self._send()
        self._schedule()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        try:
            self._http.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a mistake of ours must not pass for one of the server's
        except httptools.HttpParserError:
            self._break("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            if self._announced and not self._measured and self.sent_ns is not None:
                self._answer()
            self._break("closed")
        else:
            self._break("reset" if isinstance(exc, ConnectionResetError | BrokenPipeError) else "stall")
        self._keeper.released(self)

    # -- httptools' callbacks --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._answered_by = None
        self._announced = self._measured = False

    def on_header(self, name: bytes, value: bytes) -> None:
        field = name.lower()
        if field == self._identity:
            self._answered_by = value.decode("latin-1")
        elif field in (b"content-length", b"transfer-encoding"):
            self._measured = True

    def on_headers_complete(self) -> None:
        self._announced = not self._http.should_keep_alive()

    def on_message_complete(self) -> None:
        if self._http.get_status_code() >= 200:
            self._answer()

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
        assert self._transport is not None
        self.sent_ns = time.monotonic_ns()
        # What has arrived is read before any timer runs, so our own lateness never makes a stall.
        self._stall = self._loop.call_later(self._keeper.stall_ns / 1e9, self._break, "stall")
        self._transport.write(self._request)

    def _answer(self) -> None:
        if self._over:
            return
        if self.sent_ns is None:  # to nothing we asked: a server's last words, if it announces that they are
            self._close() if self._announced else self._break("closed")
            return
        sent, self.sent_ns = self.sent_ns, None
        if self._stall is not None:
            self._stall.cancel()
        status = self._http.get_status_code()
        self._keeper.write(Beat(self.id, self.incarnation, sent, time.monotonic_ns(), status, self._answered_by))
        self._keeper.answered(self)
        if self._backend is None:
            self._backend = self._answered_by
        elif self._answered_by is not None and self._answered_by != self._backend:
            self._break("other-backend")
            return
        if self._announced:
            self._close()

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
        """The answer said so: no harm done. The other end closes first, so that no port of ours waits for it."""
        self._end(
            Closed(self.id, self.incarnation, time.monotonic_ns()), lambda t: self._loop.call_later(GOODBYE_S, t.abort)
        )

    def _break(self, by: BrokenBy) -> None:
        if not self._over:
            line = Broken(self.id, self.incarnation, by, time.monotonic_ns(), self.sent_ns)
            self._end(line, lambda transport: transport.abort())
