"""HTTP/1.1 as a client hears it: the same however its bytes are cut, with the ends that it announces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.connections.http1 import Http1
from probes.connections.speech import Answer, Head, Heard, Offence, Part
from tests.probes.test_http2 import pieces

HEAD = b"HTTP/1.1 200 OK\r\nX-BACKEND: be-1\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"


def heard(data: bytes, cuts: list[int]) -> list[Heard]:
    client = Http1("web.test", "/", "x-backend")
    assert client.ask() == b"GET / HTTP/1.1\r\nHost: web.test\r\nUser-Agent: nospof\r\n\r\n"
    return [one for piece in pieces(data, cuts) for one in client.hear(piece)]


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(1, 4))
def test_answers_are_heard_however_their_bytes_are_cut(cuts: list[int], count: int) -> None:
    data = WHOLE * count + HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    assert heard(data, cuts) == [Answer(200, "be-1")] * count + [Answer(200, "be-1", last=True)]


@pytest.mark.parametrize(
    "data", [b"220 mail.example ready\r\n", b"HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]
)
def test_nonsense_and_what_nobody_asked_for_are_offences(data: bytes) -> None:
    assert heard(data, []) == [Offence("closed")]


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    assert all(isinstance(one, Answer | Offence) for one in heard(WHOLE + data, []))


def test_an_answer_without_a_length_ends_with_the_connection_and_one_with_a_length_does_not() -> None:
    client = Http1("web.test", "/", "x-backend")
    assert client.hear(HEAD + b"Connection: close\r\n\r\nok") == []
    assert client.hang_up() == [Answer(200, "be-1", last=True)]
    client = Http1("web.test", "/", "x-backend")
    assert client.hear(HEAD + b"Connection: close\r\nContent-Length: 99\r\n\r\nok") == []
    assert client.hang_up() == []


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(1, 9))
def test_of_an_answer_without_end_its_head_and_that_more_came_are_told(cuts: list[int], count: int) -> None:
    client = Http1("web.test", "/", "x-backend", streaming=True)
    begun = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nok\r\n" * count
    told = [one for piece in pieces(begun, cuts) for one in client.hear(piece)]
    assert told[0] == Head(200, "be-1")
    assert set(told[1:]) == {Part()}
    assert len(told) > count
    assert client.hang_up() == [], "cut off"
    assert list(client.hear(b"0\r\n\r\n")) == [Answer(200, "be-1")], "whole"


def test_a_head_that_announces_the_end_and_one_without_a_length() -> None:
    client = Http1("web.test", "/", "x-backend", streaming=True)
    closing = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert client.hear(closing) == [Head(200, "be-1"), Answer(200, "be-1", last=True)]
    client = Http1("web.test", "/", "x-backend", streaming=True)
    assert client.hear(b"HTTP/1.1 103 Early\r\n\r\n" + HEAD + b"\r\nok") == [Head(200, "be-1"), Part()]
