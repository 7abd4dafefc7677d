"""A tiny HTTP/1.1 application that says who it is: the end of every request. It must not know proxies or balancers.

Run as `python3 -m app.app NAME PORT`. Answers / and /healthz with 200 and an `x-origin` header, /stream with the same and a
line every 500 ms for ever; anything else with 404.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from enum import Enum
from pathlib import Path

_PATHS = {b"/", b"/healthz"}
_STREAM = b"/stream"
_MAX_HEAD = 16384
_MAX_UNREAD = 65536
LINE_S = 0.5


class After(Enum):
    """What becomes of a connection once what `respond` gave is written (RFC 9112, 9.3)."""

    KEEP = "the next request may come"
    CLOSE = "it is closed"
    STREAM = "lines follow until the client goes, in chunks"
    STREAM_PLAIN = "lines follow until the client goes, as they are"


def respond(head: bytes, name: str) -> tuple[bytes, After]:
    """The answer to one request head (without its blank line), or its beginning where it is a stream, and what follows."""
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    pairs = (line.partition(b":") for line in lines[1:])
    fields = {key.strip().lower(): value.strip().lower() for key, _, value in pairs}
    well_formed = len(words) == 3 and words[2].startswith(b"HTTP/1.") and b"transfer-encoding" not in fields
    if not well_formed or fields.get(b"content-length", b"0") != b"0":
        return _answer(b"400 Bad Request", name, b"requests have no body here\n", After.CLOSE), After.CLOSE
    asked, newer = fields.get(b"connection", b""), words[2] == b"HTTP/1.1"
    then = After.KEEP if (asked != b"close" if newer else asked == b"keep-alive") else After.CLOSE
    head_only = words[0] == b"HEAD"
    if words[0] not in {b"GET", b"HEAD"}:
        return _answer(b"405 Method Not Allowed", name, b"GET or HEAD\n", then), then
    path = words[1].partition(b"?")[0]
    if path == _STREAM:
        then = then if head_only else After.STREAM if newer else After.STREAM_PLAIN
        return _begun(name, then, chunked=newer), then
    if path not in _PATHS:
        return _answer(b"404 Not Found", name, b"no such path\n", then, head_only=head_only), then
    return _answer(b"200 OK", name, f"{name}\n".encode(), then, head_only=head_only), then


def _answer(status: bytes, name: str, body: bytes, then: After, *, head_only: bool = False) -> bytes:
    return _head(status, name, b"content-length: %d" % len(body), then) + (b"" if head_only else body)


def _begun(name: str, then: After, *, chunked: bool) -> bytes:
    """The head of an answer without an end; who does not know chunks gets it without a length (RFC 9112, 6.3)."""
    framing = b"transfer-encoding: chunked" if chunked else b"cache-control: no-store"
    return _head(b"200 OK", name, framing, then)


def _head(status: bytes, name: str, framing: bytes, then: After) -> bytes:
    connection = b"keep-alive" if then in {After.KEEP, After.STREAM} else b"close"
    return b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\n%s\r\nx-origin: %s\r\nconnection: %s\r\n\r\n" % (
        status,
        framing,
        name.encode(),
        connection,
    )


class Connection(asyncio.Protocol):
    """One client connection; requests may be pipelined and are answered in order. A stream is its last answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pending = b""
        self._transport: asyncio.Transport | None = None
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to write."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        """Ends the stream, if there is one."""
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        """Answers every request head that is complete."""
        assert self._transport is not None
        self._pending += data
        while b"\r\n\r\n" in self._pending and self._next is None:
            head, _, self._pending = self._pending.partition(b"\r\n\r\n")
            answer, then = respond(head, self._name)
            self._transport.write(answer)
            if then is After.CLOSE:
                self._transport.close()
                return
            if then is not After.KEEP:
                self._tell_line(then is After.STREAM, 1)
        if len(self._pending) > _MAX_HEAD:
            self._transport.abort()

    def _tell_line(self, chunked: bool, number: int) -> None:
        """One line of a stream now, and the next in its turn; nobody's stream is kept for a client that does not read it."""
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > _MAX_UNREAD:
            self._transport.abort()
            return
        line = f"{self._name} {number}\n".encode()
        self._transport.write(b"%x\r\n%s\r\n" % (len(line), line) if chunked else line)
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(LINE_S, self._tell_line, chunked, number + 1)


async def serve(name: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(name), "0.0.0.0", port, backlog=1024)
    await stop.wait()
    server.close()


def main() -> int:
    """0 after a signal; 1 with one sentence where the port cannot be had; 2 for wrong arguments."""
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        print("usage: python3 -m app.app NAME PORT", file=sys.stderr)
        return 2
    name, port = sys.argv[1], int(sys.argv[2])
    Path("/proc/self/comm").write_text("app")
    try:
        asyncio.run(serve(name, port))
    except OSError as error:
        print(f"app: port {port}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
