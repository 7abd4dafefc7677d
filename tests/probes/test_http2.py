"""HTTP/2 as a client hears it: the same however its bytes are cut, and told apart what ends a connection and what breaks it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.connections.http2 import Http2
from probes.connections.speech import Answer, Goodbye, Head, Heard, Offence, Part

ANSWER = Answer(200, "be-1")


class Server:
    """The other end, by the library; GOAWAY and nonsense by hand."""

    def __init__(self) -> None:
        self.end = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.end.initiate_connection()
        self.stream = 0

    def asked(self, data: bytes) -> None:
        for event in self.end.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.stream = event.stream_id or 0

    def answer(self, name: str = "be-1", body: bytes = b"ok") -> bytes:
        self.end.send_headers(self.stream, [(":status", "200"), ("X-Backend".lower(), name)])
        self.end.send_data(self.stream, body, end_stream=True)
        return self.end.data_to_send()

    def reset(self, code: int = h2.errors.ErrorCodes.REFUSED_STREAM) -> bytes:
        self.end.reset_stream(self.stream, code)
        return self.end.data_to_send()


def goaway(last: int, code: int = 0) -> bytes:
    return struct.pack("!IBIII", 8 << 8 | 7, 0, 0, last, code)


def pair(*, streaming: bool = False) -> tuple[Http2, Server]:
    """A client that has asked once, and a server that has heard it."""
    client, server = Http2("web.test", "/", "X-Backend", "https", streaming=streaming), Server()
    server.asked(client.ask())
    return client, server


def pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted({*(c % (len(data) + 1) for c in cuts), len(data)}):
        yield data[at:cut]
        at = cut


@given(st.lists(st.integers(0, 10_000), max_size=30), st.integers(1, 5), st.sampled_from([b"", b"ok", bytes(9000)]))
def test_answers_are_heard_however_their_bytes_are_cut(cuts: list[int], count: int, body: bytes) -> None:
    client, server = pair()
    heard: list[Heard] = []
    for n in range(count):
        if n:
            server.asked(client.ask())
        for piece in pieces(server.answer(f"be-{n}", body), cuts):
            heard += client.hear(piece)
            server.asked(client.owed())
    assert heard == [Answer(200, f"be-{n}") for n in range(count)]


@given(st.lists(st.integers(0, 200), max_size=20), st.booleans())
def test_what_was_under_way_at_a_goaway_is_still_answered(cuts: list[int], final: bool) -> None:
    client, server = pair()
    data = goaway(server.stream if final else 0x7FFFFFFF) + server.answer()
    heard = [one for piece in pieces(data, cuts) for one in client.hear(piece)]
    assert heard == [Goodbye(owes=True), Answer(200, "be-1", last=True)]


def test_a_goaway_that_leaves_the_request_undone_owes_nothing() -> None:
    client, server = pair()
    assert client.hear(goaway(server.stream - 1)) == [Goodbye(owes=False)]


def test_a_goaway_after_the_answer_owes_nothing() -> None:
    client, server = pair()
    assert list(client.hear(server.answer() + goaway(server.stream))) == [ANSWER, Goodbye(owes=False)]


def test_a_stream_reset_after_goodbye_is_part_of_it_and_without_one_an_offence() -> None:
    client, server = pair()
    assert client.hear(server.reset()) == [Offence("reset")]
    client, server = pair()
    assert client.hear(goaway(0x7FFFFFFF) + server.reset()) == [Goodbye(owes=True), Goodbye(owes=False)]


@pytest.mark.parametrize("code", [0, 2, 8])
def test_what_was_accepted_and_is_reset_after_goodbye_all_the_same_is_an_offence(code: int) -> None:
    client, server = pair()
    assert client.hear(goaway(server.stream) + server.reset(code)) == [Goodbye(owes=True), Offence("reset")]


@given(st.lists(st.integers(0, 200), max_size=20), st.integers(1, 9), st.booleans())
def test_of_an_answer_without_end_its_head_and_that_more_came_are_told(
    cuts: list[int], count: int, announced: bool
) -> None:
    client, server = pair(streaming=True)
    server.end.send_headers(server.stream, [(":status", "200"), ("x-backend", "be-1")])
    for _ in range(count):
        server.end.send_data(server.stream, b"ok")
    begun = server.end.data_to_send() + (goaway(server.stream) if announced else b"")
    server.end.send_data(server.stream, b"", end_stream=True)
    told = [one for piece in pieces(begun + server.end.data_to_send(), cuts) for one in client.hear(piece)]
    ending: list[Heard] = [*([Goodbye(owes=True)] if announced else []), Answer(200, "be-1", last=announced)]
    assert told == [Head(200, "be-1"), *([Part()] * count), *ending]


@pytest.mark.parametrize(
    "data",
    [
        goaway(1, 2),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        (1 << 20).to_bytes(3, "big") + bytes(6),
        struct.pack("!IBI", 2 << 8 | 7, 0, 0) + b"xx",
    ],
)
def test_errors_and_nonsense_are_offences(data: bytes) -> None:
    client, server = pair()
    client.hear(server.answer())
    assert client.hear(data) == [Offence("closed")]


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    client, server = pair()
    client.hear(server.answer())
    assert all(isinstance(one, Answer | Goodbye | Offence) for one in client.hear(data))


def test_an_informational_answer_and_a_name_that_is_missing_are_no_trouble() -> None:
    client, server = pair()
    server.end.send_headers(server.stream, [(":status", "103")])
    server.end.send_headers(server.stream, [(":status", "503")], end_stream=True)
    assert client.hear(server.end.data_to_send()) == [Answer(503, None)]
    assert client.hang_up() == ()


def test_settings_and_pings_are_answered() -> None:
    client, server = pair()
    server.end.ping(b"12345678")
    assert list(client.hear(server.answer() + server.end.data_to_send())) == [ANSWER]
    kinds = [type(event) for event in server.end.receive_data(client.owed())]
    assert h2.events.SettingsAcknowledged in kinds
    assert h2.events.PingAckReceived in kinds
