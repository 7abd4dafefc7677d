"""One request on a connection of its own, waited for: to see whether somebody answers at all, never to measure."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import h2.events

from probes.connections.http1 import Http1
from probes.connections.http2 import Http2
from probes.connections.speech import Answer, Fields, Heard, Offence
from probes.connections.target import Target
from probes.connections.tls import Tls

_CHUNK = 16384
_PADDING = "x-padding"
_WIDE = "X"
"""A letter that HTTP/2 makes no shorter: its Huffman code has eight bits (RFC 7541, appendix B)."""
_HEADERS = {socket.AF_INET: 40, socket.AF_INET6: 60}
"""Of IP and TCP without options, in bytes: what a segment's greatest size leaves out (RFC 6691)."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How an answer begins: its status, and the names of its headers, in lower case and as they came."""

    status: int
    names: tuple[str, ...]


def ask(target: Target, timeout_s: float, packet_bytes: int | None = None) -> tuple[Answer, Opening]:
    """The answer. `timeout_s` is how long the other end may be silent. `packet_bytes`: the request is padded until its first
    packet has so many bytes, and none has more, in either direction; None: it is as short as it is. Raises OSError, also for what is
    no HTTP."""
    with closing(exchange(target, timeout_s, packet_bytes)) as heard:
        for opening, some in heard:
            for one in some:
                if isinstance(one, Answer) and opening is not None:
                    return one, opening
            if any(isinstance(one, Offence) for one in some):
                break
    raise ConnectionError(f"no answer by HTTP/{target.http}")


def exchange(
    target: Target, timeout_s: float, packet_bytes: int | None = None
) -> Generator[tuple[Opening | None, Sequence[Heard]]]:
    """One request, and then with each piece that comes: how the answer began, once it has, and what was heard of it. It ends with the
    connection. Raises OSError."""
    fields = () if packet_bytes is None else ((_PADDING, _WIDE * packet_bytes),)
    speech = _Opened2(target, fields) if target.http == "2" else _Opened1(target, fields)
    with _connected(target, timeout_s, packet_bytes) as sock:
        tls = Tls(target.tls, target) if target.tls else None
        if tls is not None:
            said, over = tls.shake()
            sock.sendall(said)
            while not over:
                said, over = tls.shake(_heard(sock))
                sock.sendall(said)
        _say(sock, tls, speech.ask())
        while True:
            data, ended = sock.recv(_CHUNK), False
            whole = not data
            if tls is not None:
                data, ended = tls.read(data)
            heard = list(speech.hear(data)) if data else []
            if ended or whole:
                heard += speech.hang_up()
            yield speech.opening, heard
            if ended or whole:
                return
            _say(sock, tls, speech.owed())


def _connected(target: Target, timeout_s: float, packet_bytes: int | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in target.dst else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        if packet_bytes is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, packet_bytes - _HEADERS[sock.family])
        sock.connect((target.dst, target.dport))
    except BaseException:
        sock.close()
        raise
    return sock


def _say(sock: socket.socket, tls: Tls | None, data: bytes) -> None:
    if data or tls is not None:
        sock.sendall(tls.write(data) if tls else data)


def _heard(sock: socket.socket) -> bytes:
    data = sock.recv(_CHUNK)
    if not data:
        raise ConnectionError("closed during the TLS handshake")
    return data


class _Opened1(Http1):
    def __init__(self, target: Target, fields: Fields) -> None:
        super().__init__(target.host, target.path, target.identity, fields=fields)
        self.opening: Opening | None = None
        self._names: list[str] = []

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._names = []

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._names.append(name.lower().decode("latin-1"))

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.opening = Opening(self._parser.get_status_code(), tuple(self._names))


class _Opened2(Http2):
    def __init__(self, target: Target, fields: Fields) -> None:
        scheme = "https" if target.tls else "http"
        super().__init__(target.host, target.path, target.identity, scheme, fields=fields)
        self.opening: Opening | None = None

    def _of(self, events: Sequence[h2.events.Event]) -> Iterator[Heard]:
        yield from super()._of(events)
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                fields = (name.decode("latin-1") for name, _ in event.headers or ())
                self.opening = Opening(self._status, tuple(name for name in fields if not name.startswith(":")))
