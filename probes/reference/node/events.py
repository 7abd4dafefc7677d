"""Hands what an agent did and saw to whoever connects, as JSON lines. It must not know what the events mean.

One line: {"t_ns": CLOCK_MONOTONIC in nanoseconds, "source", "what", "detail"}; drops have lines of their own (drops.py). Who
connects late first gets the newest events again, but no drops; who reads too slowly is cut off, so that nobody ever keeps an
agent waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

EVENTS_PATH = Path("/run/nospof/events.sock")
KEPT = 256
_MOST_UNREAD = 1 << 20  # bytes that one reader may be behind: eight turns of drops, or thousands of events


def line(source: str, what: str, detail: str, t_ns: int) -> bytes:
    """One event as it is written."""
    event = {"t_ns": t_ns, "source": source, "what": what, "detail": detail}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class _Reader(asyncio.Protocol):
    def __init__(self, events: Events) -> None:
        self._events = events
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._events.join(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._events.part(self)


class Events:
    """The events of one process. All calls belong to its event loop's thread."""

    def __init__(self, source: str, kept: int = KEPT, most_unread: int = _MOST_UNREAD) -> None:
        self.source, self._most_unread = source, most_unread
        self._kept: deque[bytes] = deque(maxlen=kept)
        self._readers: set[_Reader] = set()

    def emit(self, what: str, detail: str = "", *, source: str = "", t_ns: int | None = None) -> None:
        """Tells everybody; returns at once. `t_ns` is for what happened earlier (CLOCK_MONOTONIC)."""
        written = line(source or self.source, what, detail, time.monotonic_ns() if t_ns is None else t_ns)
        self._kept.append(written)
        for reader in list(self._readers):
            self._write(reader, written)

    def tell(self, lines: Sequence[bytes]) -> None:
        """Lines that are news for those who read now, and not kept for others: a flood of drops pushes no event out."""
        written = b"".join(lines)
        for reader in list(self._readers) if written else ():
            self._write(reader, written)

    def join(self, reader: _Reader) -> None:
        """A new reader; it gets the newest events first."""
        self._readers.add(reader)
        self._write(reader, b"".join(self._kept))

    def part(self, reader: _Reader) -> None:
        """A reader that went away."""
        self._readers.discard(reader)

    def _write(self, reader: _Reader, written: bytes) -> None:
        transport = reader.transport
        if transport is None or transport.get_write_buffer_size() > self._most_unread:
            self._readers.discard(reader)
            if transport is not None:
                transport.abort()
        elif written:
            transport.write(written)

    @contextlib.asynccontextmanager
    async def listening(self, path: Path = EVENTS_PATH) -> AsyncIterator[None]:
        """Accepts readers while the context lasts; the socket is root's alone. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server = await asyncio.get_running_loop().create_unix_server(lambda: _Reader(self), path)
        path.chmod(0o600)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)
            for reader in list(self._readers):
                if reader.transport is not None:
                    reader.transport.close()
