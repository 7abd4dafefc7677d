"""As much of an HTTP/2 client as shows how a server ends a connection: GETs by prior knowledge, frames as they come.

Source: RFC 9113, RFC 7541.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

DATA, HEADERS, SETTINGS, GOAWAY = 0x0, 0x1, 0x4, 0x7
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_ACK = _END_STREAM = 0x1
_END_HEADERS = 0x4
_HEADER = struct.Struct(">BHBBI")
# RFC 7541, appendix A: `:method GET`, `:scheme http`, `:path /` are in the static table; `:authority` (1), and a `:path` (4) that
# is another one, are written out.
_GET, _ROOT = b"\x82\x86", b"\x84"
STATUS_200 = 0x88


@dataclass(frozen=True)
class Frame:
    """One frame as it was received."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Client:
    """One connection; its methods raise TimeoutError after five seconds."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._file = self._socket.makefile("rb")
        self._stream = -1
        self._socket.sendall(_PREFACE)
        self._send(SETTINGS, 0, 0)

    def _send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        length = len(payload)
        self._socket.sendall(_HEADER.pack(length >> 16, length & 0xFFFF, kind, flags, stream) + payload)

    def receive(self) -> Frame | None:
        """The next frame; None once the server has closed. Settings are acknowledged on the way."""
        head = self._file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return None
        high, low, kind, flags, stream = _HEADER.unpack(head)
        frame = Frame(kind, flags, stream & 0x7FFFFFFF, self._file.read(high << 16 | low))
        if kind == SETTINGS and not flags & _ACK:
            self._send(SETTINGS, _ACK, 0)
        return frame

    def ask(self, host: bytes, path: bytes = b"/") -> int:
        """Sends a GET; the number of its stream."""
        self._stream += 2
        asked = _ROOT if path == b"/" else b"\x04" + bytes([len(path)]) + path
        authority = b"\x01" + bytes([len(host)]) + host
        self._send(HEADERS, _END_STREAM | _END_HEADERS, self._stream, _GET + asked + authority)
        return self._stream

    def get(self, host: bytes) -> list[Frame]:
        """Asks for `/` and gives every frame up to the end of the answer; the last begins or ends it."""
        stream = self.ask(host)
        frames: list[Frame] = []
        while frame := self.receive():
            frames.append(frame)
            if frame.stream == stream and frame.flags & _END_STREAM:
                break
        return frames

    def rest(self) -> list[Frame]:
        """Every frame until the server closes."""
        frames: list[Frame] = []
        while frame := self.receive():
            frames.append(frame)
        return frames

    def close(self) -> None:
        self._file.close()
        self._socket.close()
