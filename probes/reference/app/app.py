"""A tiny HTTP/1.1 application that says who it is: the end of every request. It must not know proxies or balancers.

Run as `python3 -m app.app NAME PORT`. Answers / and /healthz with 200 and an `x-origin` header; anything else with 404.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

_PATHS = {b"/", b"/healthz"}
_MAX_HEAD = 16384


def respond(head: bytes, name: str) -> tuple[bytes, bool]:
    """The answer to one request head (without its blank line), and whether the connection stays (RFC 9112, 9.3)."""
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    pairs = (line.partition(b":") for line in lines[1:])
    fields = {key.strip().lower(): value.strip().lower() for key, _, value in pairs}
    well_formed = len(words) == 3 and words[2].startswith(b"HTTP/1.") and b"transfer-encoding" not in fields
    if not well_formed or fields.get(b"content-length", b"0") != b"0":
        return _answer(b"400 Bad Request", name, b"requests have no body here\n", keep=False, head_only=False), False
    asked = fields.get(b"connection", b"")
    keep = asked != b"close" if words[2] == b"HTTP/1.1" else asked == b"keep-alive"
    head_only = words[0] == b"HEAD"
    if words[0] not in {b"GET", b"HEAD"}:
        return _answer(b"405 Method Not Allowed", name, b"GET or HEAD\n", keep=keep, head_only=False), keep
    if words[1].partition(b"?")[0] not in _PATHS:
        return _answer(b"404 Not Found", name, b"no such path\n", keep=keep, head_only=head_only), keep
    return _answer(b"200 OK", name, f"{name}\n".encode(), keep=keep, head_only=head_only), keep


def _answer(status: bytes, name: str, body: bytes, *, keep: bool, head_only: bool) -> bytes:
    connection = b"keep-alive" if keep else b"close"
    fields = (status, len(body), name.encode(), connection, b"" if head_only else body)
    return (
        b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nx-origin: %s\r\nconnection: %s\r\n\r\n%s"
        % fields
    )


class Connection(asyncio.Protocol):
    """One client connection; requests may be pipelined and are answered in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to write."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every request head that is complete."""
        assert self._transport is not None
        self._pending += data
        while b"\r\n\r\n" in self._pending:
            head, _, self._pending = self._pending.partition(b"\r\n\r\n")
            answer, keep = respond(head, self._name)
            self._transport.write(answer)
            if not keep:
                self._transport.close()
                return
        if len(self._pending) > _MAX_HEAD:
            self._transport.abort()


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
