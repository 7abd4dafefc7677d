"""What a service says of itself beyond its address: streams, idle connections, and what a TCP service is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.requests import plan
from tests.topologies.files import CONTRACT, contract_of, line_of, only, problems_of_contract
from topologies.problems import Problem
from topologies.services import MOST_WORDS_BYTES, Service

HTTP = "host: web.test}"
ECHO = "port: 7, protocol: udp}"
PATH = "a path that begins with '/', without spaces, whose answer goes on for as long as it is read"
IDLE = "a duration with its unit (ns, us, ms, s, m), over 0s, such as 60s"
BYTES = r'ASCII characters, in double quotes with escapes from \x00 to \xff, such as "PING\r\n"'
RAW = Service("echo", ("203.0.113.20",), 7, "tcp")


def _web(directory: Path, more: str) -> Service:
    return contract_of(directory, CONTRACT.replace(HTTP, f"{HTTP[:-1]}, {more}}}")).services["web"]


def _raw(directory: Path, more: str) -> Service:
    return contract_of(directory, CONTRACT.replace(ECHO, f"port: 7, protocol: tcp, {more}}}")).services["echo"]


def _problem(directory: Path, old: str, new: str) -> Problem:
    text = CONTRACT.replace(old, new)
    problem = only(problems_of_contract(directory, text))
    assert (problem.file, problem.line) == (directory / "lab.contract.yml", line_of(text, new))
    return problem


def test_a_stream_and_the_time_of_idle_connections_are_read(tmp_path: Path) -> None:
    web = _web(tmp_path, "stream: '/stream?n=1', idle: 1.5m")
    assert (web.stream, web.idle_ns) == ("/stream?n=1", 90 * 10**9)
    bare = contract_of(tmp_path).services["web"]
    assert (bare.stream, bare.idle_ns, bare.send, bare.expect) == (None, None, None, None)


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        (r'"PING\r\n"', b"PING\r\n"),
        ("'PING'", b"PING"),
        ("PING", b"PING"),
        ("7", b"7"),
        (r'"\x00\xff\0\"\\"', b'\x00\xff\x00"\\'),
        (r'"\u00e9"', b"\xe9"),
    ],
)
def test_a_tcp_service_is_asked_byte_for_byte(tmp_path: Path, written: str, bytes_: bytes) -> None:
    assert _raw(tmp_path, f"send: {written}, expect: {written}") == replace(RAW, send=bytes_, expect=bytes_)
    assert _raw(tmp_path, f"expect: {written}") == replace(RAW, expect=bytes_)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=20))
def test_any_bytes_can_be_written(tmp_path: Path, wanted: bytes) -> None:
    written = "".join(f"\\x{byte:02x}" for byte in wanted)
    assert _raw(tmp_path, f'expect: "{written}"').expect == wanted


@pytest.mark.parametrize(
    ("more", "found", "right"),
    [
        ("stream: stream", "'stream'", PATH),
        ("stream: /a b", "'/a b'", PATH),
        ("stream: [/a]", "a list of 1", PATH),
        ("idle: 60", "'60', which has no unit", IDLE),
        ("idle: 0s", "'0s'", IDLE),
        ("idle: -1s", "'-1s'", IDLE),
        ("expect: PONG", "the key 'expect'", "it with protocol tcp only, not http"),
        ("straem: /a", "the unknown key 'straem'", "(did you mean 'stream'?)"),
    ],
)
def test_what_an_http_service_cannot_mean_is_refused(tmp_path: Path, more: str, found: str, right: str) -> None:
    problem = _problem(tmp_path, HTTP, f"{HTTP[:-1]}, {more}}}")
    assert problem.found == found
    assert problem.expected.endswith(right)


@pytest.mark.parametrize(
    ("protocol", "more", "found", "right"),
    [
        ("tcp", "send: PING", "'send' without 'expect'", "'expect' too: what the answer has to hold"),
        ("tcp", "expect: ''", "''", BYTES),
        ("tcp", "expect: []", "a list of 0", BYTES),
        ("tcp", "expect: é", "'é', which is not ASCII", BYTES),
        ("tcp", r"expect: PONG\r\n", r"'PONG\\r\\n', an escape without double quotes", BYTES),
        ("tcp", r"expect: 'PONG\r\n'", r""""'PONG\\r\\n'", an escape without double quotes""", BYTES),
        ("tcp", r'expect: "\u20ac"', r"""'"\\u20ac"', a character that is no byte""", BYTES),
        ("tcp", f"expect: {'x' * 4097}", "4097", "at most 4096 bytes"),
        ("tcp", f"expect: x, send: {'x' * 4097}", "4097", "at most 4096 bytes"),
        ("tcp", "expect: !!binary UE9ORw==", "'UE9ORw=='", BYTES),
        ("tcp", "stream: /a", "the key 'stream'", "it with protocol http or https only, not tcp"),
        ("tcp", "idle: 60s", "the key 'idle'", "it with protocol http or https only, not tcp"),
        ("udp", "idle: 60s", "the key 'idle'", "it with protocol http or https only, not udp"),
        ("udp", "expect: PONG", "the key 'expect'", "it with protocol tcp only, not udp"),
    ],
)
def test_what_another_service_cannot_mean_is_refused(
    tmp_path: Path, protocol: str, more: str, found: str, right: str
) -> None:
    problem = _problem(tmp_path, ECHO, f"port: 7, protocol: {protocol}, {more}}}")
    assert (problem.found, problem.expected) == (found, right)


def test_as_much_can_be_asked_and_expected_as_requests_have_room_for(tmp_path: Path) -> None:
    most = "x" * MOST_WORDS_BYTES
    assert MOST_WORDS_BYTES == plan.MOST_WORDS_BYTES
    assert _raw(tmp_path, f"send: {most}, expect: {most}") == replace(RAW, send=most.encode(), expect=most.encode())


@pytest.mark.parametrize(
    ("service", "answers", "spoken"),
    [
        (replace(RAW, protocol="http"), True, {"http"}),
        (replace(RAW, protocol="https"), True, {"https"}),
        (replace(RAW, protocol="udp"), False, {"udp"}),
        (RAW, False, {"tcp"}),
        (replace(RAW, expect=b"220 "), True, {"tcp", "tcp with 'expect'"}),
        (replace(RAW, send=b"PING", expect=b"+PONG"), True, {"tcp", "tcp with 'expect'"}),
    ],
)
def test_a_service_answers_requests_where_it_is_known_what_its_answer_is(
    service: Service, answers: bool, spoken: set[str]
) -> None:
    assert (service.answers_requests, service.spoken) == (answers, spoken)
