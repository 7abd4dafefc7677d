"""HTTP/1.1 as a client speaks it on one connection (RFC 9112). Knows no sockets and no clocks."""

from __future__ import annotations

from collections.abc import Sequence

import httptools

from probes.connections.speech import Answer, Fields, Head, Heard, Offence, Part


class Http1:
    """`identity` is the header that names the backend; `streaming`: whether heads and parts of answers are told, too;
    `fields`: more of a request's header."""

    def __init__(self, host: str, path: str, identity: str, *, streaming: bool = False, fields: Fields = ()) -> None:
        lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: nospof", *(f"{n}: {v}" for n, v in fields))
        self._request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")
        self._identity = identity.lower().encode("latin-1")
        self._streaming = streaming
        self._parser = httptools.HttpResponseParser(self)
        self._heard: list[Heard] = []
        self._answered_by: str | None = None
        self._announced = False  # that the connection ends with this answer
        self._measured = False  # whether the answer has a length; else its end is the connection's

    def ask(self) -> bytes:
        return self._request

    def hear(self, data: bytes) -> Sequence[Heard]:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a mistake of ours must not pass for one of the server's
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._heard.append(Offence("closed"))
        return self._taken()

    def hang_up(self) -> Sequence[Heard]:
        if self._announced and not self._measured:
            self._answer()
        return self._taken()

    def owed(self) -> bytes:
        return b""

    def _taken(self) -> Sequence[Heard]:
        heard, self._heard = self._heard, []
        return heard

    def _answer(self) -> None:
        self._heard.append(Answer(self._parser.get_status_code(), self._answered_by, self._announced))

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
        self._announced = not self._parser.should_keep_alive()
        if self._streaming and (status := self._parser.get_status_code()) >= 200:
            self._heard.append(Head(status, self._answered_by))

    def on_body(self, _: bytes) -> None:
        if self._streaming:
            self._heard.append(Part())

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._answer()
