"""A stand-in for an HTTP service, of either version, with or without TLS: answers with a name. Knows nothing of the probes but bytes.

usage: site.py ADDRESS PORT NAME[,NAME...] [tls=FILE] [old] [reset] [mute] [greet] [ping] [idle=MS]
FILE: key and certificate in PEM. `old`: TLS, but no HTTP/2. `reset`: connections end by reset. `mute`: not a word, not even TLS's.
`greet`: speaks first, and no HTTP. Whoever speaks HTTP/2 is answered so, by ALPN or by prior knowledge.
SIGUSR1 moves on to the next name; the name 503 is an error page without a name. NAME+close: announces the connection's end with the
answer, and ends it. NAME+fin: ends it without a word. HTTP/2 only: NAME+goaway: announces the end before it answers. NAME+late:
announces it and leaves the request undone. NAME+stream: ends the stream by reset. NAME+error: announces the end because of an error.
SIGUSR2: goodbye, unasked, on every connection, and its end. `ping`: HTTP/2's, every 50 ms; who leaves one unanswered until the next
is cut off. `idle`: connections that were silent for so long are ended without a word.

GET /stream is answered without end, a few bytes every 50 ms, until SIGUSR1 moves on to a name with an end: NAME+whole: the answer is
whole. NAME+fin: the connection ends. NAME+still: nothing more comes. HTTP/1.1 only: with NAME+close its head announces the
connection's end, with NAME+bare it has no length. HTTP/2 only: NAME+goaway: announces the end, and is whole. NAME+left: announces it,
and ends without. NAME+stream: ends the stream by reset. The name 503 is an error page here, too.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import struct
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events

PREFACE = b"PRI * HTTP/2.0"
TICK_S = 0.05
SERVER = h2.config.H2Configuration(client_side=False)


class Site:
    """All connections, and what they are answered now."""

    def __init__(self, names: list[str], options: list[str]) -> None:
        self.names, self.options = names, options
        self.peers: set[Peer] = set()

    @property
    def idle_s(self) -> float | None:
        return next((float(o.removeprefix("idle=")) / 1e3 for o in self.options if o.startswith("idle=")), None)

    @property
    def now(self) -> tuple[str, str]:
        name, _, end = self.names[0].partition("+")
        return name, end

    def goodbye(self) -> None:
        for peer in list(self.peers):
            peer.goodbye()


class Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, site: Site) -> None:
        self.site, self.got = site, b""
        self.http2: h2.connection.H2Connection | None = None
        self.loop = asyncio.get_running_loop()
        self.silence: asyncio.TimerHandle | None = None
        self.ponged = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.site.peers.add(self)
        if "reset" in self.site.options:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        if "greet" in self.site.options:
            transport.write(b"220 mail.example ready\r\n")
        self.heard()

    def connection_lost(self, _: Exception | None) -> None:
        self.site.peers.discard(self)

    def heard(self) -> None:
        if self.silence is not None:
            self.silence.cancel()
        if self.site.idle_s is not None:
            self.silence = self.loop.call_later(self.site.idle_s, self.transport.close)

    def data_received(self, data: bytes) -> None:
        self.heard()
        if "mute" in self.site.options:
            return
        self.got += data
        if self.http2 is None and self.got.startswith(PREFACE):
            self.http2 = h2.connection.H2Connection(SERVER)
            self.http2.initiate_connection()
            if "ping" in self.site.options:
                self.ping(self.http2)
        if self.http2 is not None:
            data, self.got = self.got, b""
            for event in self.http2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    if (b":path", b"/stream") in (event.headers or ()) and self.site.now[0] != "503":
                        self.stream2(self.http2, event.stream_id or 0)
                    else:
                        self.answer2(self.http2, event.stream_id or 0)
                elif isinstance(event, h2.events.PingAckReceived):
                    self.ponged = True
            self.transport.write(self.http2.data_to_send())
        else:
            while b"\r\n\r\n" in self.got:
                asked, self.got = self.got.split(b"\r\n\r\n", 1)
                if asked.startswith(b"GET /stream ") and self.site.now[0] != "503":
                    self.stream1()
                else:
                    self.answer1()

    def ping(self, http2: h2.connection.H2Connection) -> None:
        if not self.ponged:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.ponged = False
            http2.ping(bytes(8))
            self.transport.write(http2.data_to_send())
            self.loop.call_later(TICK_S, self.ping, http2)

    def stream1(self) -> None:
        name, how = self.site.now
        fields = {"close": "Connection: close\r\nTransfer-Encoding: chunked", "bare": "Connection: close"}
        length = fields.get(how, "Transfer-Encoding: chunked")
        self.transport.write(f"HTTP/1.1 200 OK\r\nX-Backend: {name}\r\n{length}\r\n\r\n".encode())
        self.more1(b"ok" if how == "bare" else b"2\r\nok\r\n")

    def more1(self, part: bytes) -> None:
        _, how = self.site.now
        if how == "fin":
            self.transport.close()
        elif how == "whole":
            self.transport.write(b"0\r\n\r\n")
        elif how != "still" and not self.transport.is_closing():
            self.transport.write(part)
            self.loop.call_later(TICK_S, self.more1, part)

    def stream2(self, http2: h2.connection.H2Connection, stream: int) -> None:
        http2.send_headers(stream, [(":status", "200"), ("x-backend", self.site.now[0])])
        self.more2(http2, stream)

    def more2(self, http2: h2.connection.H2Connection, stream: int) -> None:
        _, how = self.site.now
        if self.transport.is_closing() or how == "still":
            return
        if how in ("goaway", "left"):
            self.raw_goaway(stream)
        if how == "stream":
            http2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif how not in ("fin", "left"):
            http2.send_data(stream, b"ok", end_stream=bool(how))
        self.transport.write(http2.data_to_send())
        if how in ("fin", "left"):
            self.transport.close()
        elif not how:
            self.loop.call_later(TICK_S, self.more2, http2, stream)

    def answer1(self) -> None:
        name, end = self.site.now
        if name == "503":
            self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        close = "Connection: close\r\n" if end == "close" else ""
        self.transport.write(f"HTTP/1.1 200 OK\r\nX-Backend: {name}\r\n{close}Content-Length: 2\r\n\r\nok".encode())
        if end:
            self.transport.close()

    def answer2(self, http2: h2.connection.H2Connection, stream: int) -> None:
        name, end = self.site.now
        if end == "stream":
            http2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            return
        if end in ("goaway", "late", "error"):
            last = stream - 2 if end == "late" else stream
            code = h2.errors.ErrorCodes.ENHANCE_YOUR_CALM if end == "error" else h2.errors.ErrorCodes.NO_ERROR
            self.raw_goaway(max(0, last), code)
        if end not in ("late", "error"):
            fields = [(":status", "503")] if name == "503" else [(":status", "200"), ("x-backend", name)]
            http2.send_headers(stream, [*fields, ("content-length", "2")])
            http2.send_data(stream, b"ok", end_stream=True)
        self.transport.write(http2.data_to_send())
        if end == "close":
            self.raw_goaway(stream)
        if end:
            self.transport.close()

    def raw_goaway(self, last: int, code: int = 0) -> None:
        """Not by the library, which answers nothing after it; but after what it has to say, its settings first of all."""
        if self.http2 is not None:
            self.transport.write(self.http2.data_to_send())
        self.transport.write(struct.pack("!IBIII", 8 << 8 | 7, 0, 0, last, code))

    def goodbye(self) -> None:
        if self.http2 is not None:
            self.raw_goaway(0x7FFFFFFF)
        else:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.close()


async def main(address: str, port: int, names: list[str], options: list[str]) -> None:
    site = Site(names, options)
    context = None
    for option in options:
        if option.startswith("tls="):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(option.removeprefix("tls="))
            context.set_alpn_protocols(["http/1.1"] if "old" in options else ["h2", "http/1.1"])
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, site.names.pop, 0)
    loop.add_signal_handler(signal.SIGUSR2, site.goodbye)
    await loop.create_server(
        lambda: Peer(site), address, port, ssl=None if "mute" in options else context, backlog=1024
    )
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4:]))
