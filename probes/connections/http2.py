"""HTTP/2 as a client speaks it on one connection, one stream at a time (RFC 9113). Knows no sockets and no clocks."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from probes.connections.speech import Answer, Fields, Goodbye, Head, Heard, Offence, Part

_HEAD = 9
_MAX_FRAME = 1 << 14  # what we allow, by not saying otherwise
_GOAWAY = 7
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_CONFIG = h2.config.H2Configuration(client_side=True, header_encoding=None)


class Http2:
    """`identity` is the header that names the backend, `scheme` http or https; `streaming`: whether heads and parts of answers are
    told, too; `fields`: more of a request's header."""

    def __init__(
        self, host: str, path: str, identity: str, scheme: str, *, streaming: bool = False, fields: Fields = ()
    ) -> None:
        self._fields = [
            (":method", "GET"),
            (":scheme", scheme),
            (":authority", host),
            (":path", path),
            ("user-agent", "nospof"),
            *fields,
        ]
        self._identity = identity.lower().encode("latin-1")
        self._streaming = streaming
        self._connection = h2.connection.H2Connection(_CONFIG)
        self._connection.local_settings.update({h2.settings.SettingCodes.ENABLE_PUSH: 0})
        self._connection.initiate_connection()
        self._pending = b""
        self._stream = 0
        self._answered = True  # nothing is under way
        self._leaving = False
        self._status = 0
        self._answered_by: str | None = None

    def ask(self) -> bytes:
        self._stream = self._connection.get_next_available_stream_id()
        self._answered, self._status, self._answered_by = False, 0, None
        self._connection.send_headers(self._stream, self._fields, end_stream=True)
        return self._connection.data_to_send()

    def hear(self, data: bytes) -> Sequence[Heard]:
        self._pending += data
        heard: list[Heard] = []
        try:
            for kind, frame in self._frames():
                # h2 takes nothing after a GOAWAY, though what is under way is still answered (section 6.8): not for its ears.
                heard += self._goaway(frame) if kind == _GOAWAY else self._of(self._connection.receive_data(frame))
        except h2.exceptions.ProtocolError:
            heard.append(Offence("closed"))
        return heard

    def hang_up(self) -> Sequence[Heard]:
        return ()

    def owed(self) -> bytes:
        return self._connection.data_to_send()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Every whole frame that has come, with its kind. Raises ProtocolError for one that is longer than we allow."""
        while len(self._pending) >= _HEAD:
            length = int.from_bytes(self._pending[:3], "big")
            if length > _MAX_FRAME:
                raise h2.exceptions.FrameTooLargeError(f"a frame of {length} bytes")
            end = _HEAD + length
            if len(self._pending) < end:
                return
            frame, self._pending = self._pending[:end], self._pending[end:]
            yield frame[3], frame

    def _goaway(self, frame: bytes) -> Sequence[Heard]:
        if len(frame) < _HEAD + 8:
            return [Offence("closed")]
        last, code = struct.unpack_from("!II", frame, _HEAD)
        if code != h2.errors.ErrorCodes.NO_ERROR:
            return [Offence("closed")]
        self._leaving = True
        return [Goodbye(owes=not self._answered and self._stream <= last & 0x7FFFFFFF)]

    def _of(self, events: Sequence[h2.events.Event]) -> Iterator[Heard]:
        for event in events:
            match event:
                case h2.events.ResponseReceived():
                    for name, value in event.headers or ():
                        if name == b":status":
                            self._status = int(value) if _STATUS.fullmatch(value) else 0
                        elif name == self._identity:
                            self._answered_by = value.decode("latin-1")
                    if self._streaming:
                        yield Head(self._status, self._answered_by)
                case h2.events.DataReceived():
                    self._connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                    if self._streaming and event.data:
                        yield Part()
                case h2.events.StreamEnded():
                    self._answered = True
                    yield Answer(self._status, self._answered_by, self._leaving)
                case h2.events.StreamReset():
                    # Who has said goodbye may leave what came too late undone, and says so by this code (section 8.7); by any
                    # other it leaves undone what it had accepted.
                    self._answered = True
                    refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
                    yield Goodbye(owes=False) if self._leaving and refused else Offence("reset")
                case _:
                    pass
