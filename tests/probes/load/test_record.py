"""The worker's log, and the words for what failed."""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest

from probes.load.record import AnyLine, Follower, Pulse, Request, Schedule, Started, Target, TaskFailed
from probes.load.recorder import Recorder, last_sentence, reason


def test_an_ipv6_address_is_in_brackets() -> None:
    assert Target("web", "2001:db8:f::10", 80, "web.test", "/").url == "http://[2001:db8:f::10]:80"
    assert Target("web", "203.0.113.10", 8080, "web.test", "/").url == "http://203.0.113.10:8080"


def test_lines_come_back_whole_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "c.jsonl"
    follower = Follower(log)
    assert follower.catch_up().pid is None  # not there yet
    request = Request(1, 0, 5, 10, 12, 20, 503, "HTTP 503")
    lines: list[AnyLine] = [Started(7, 1), Schedule(1, 0, 5, 10), request, TaskFailed(3, "X: y"), Pulse(30)]
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    log.write_bytes(data[:-4])
    ledger = follower.catch_up()
    assert (ledger.pid, ledger.requests, ledger.horizon_ns, ledger.task_failure) == (7, [request], 0, "X: y")
    assert ledger.schedules == {1: Schedule(1, 0, 5, 10)}
    log.write_bytes(data)
    assert follower.catch_up().horizon_ns == 30
    assert ledger.requests == [request]


def test_a_request_of_a_users_own_file_has_no_intended_start(tmp_path: Path) -> None:
    answered: list[int] = []
    recorder = Recorder(tmp_path / "log", answered.append)
    recorder.on_request(response_time=250.0, exception=None, name="/", request_type="GET", context={})
    recorder.on_request(response_time=1.0, exception=ConnectionResetError(errno.ECONNRESET, "x"), context={})
    one, two = Follower(tmp_path / "log").catch_up().requests
    assert (one.user, one.target, one.k, one.intended_ns) == (-1, -1, -1, None)
    assert one.end_ns - one.start_ns == 250_000_000
    assert one.due_ns == one.start_ns
    assert (one.failure, two.failure) == (None, "Connection reset by peer")
    assert answered == [-1]


class HTTPConnectionClosed(Exception):
    pass


class MaxRetryError(Exception):
    def __init__(self, reason: Exception) -> None:
        self.reason = reason


class RetriesExceeded(Exception):
    def __init__(self, original: Exception) -> None:
        super().__init__("URL http://10.9.2.2:80/: 0")
        self.original = original


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "[Errno 111] whatever"), 0, "Connection refused"),
        (TimeoutError("timed out"), 0, "no answer in time"),
        (HTTPConnectionClosed("?"), 0, "connection closed before the answer"),
        (ConnectionError(MaxRetryError(OSError(errno.EHOSTUNREACH, "x"))), 0, "No route to host"),
        (RetriesExceeded(TimeoutError("timed out")), 0, "no answer in time"),
        (ValueError("first\nlast thing"), 0, "ValueError: last thing"),
        (ValueError("bad status"), 502, "HTTP 502"),
    ],
)
def test_a_failure_has_the_same_words_from_every_library(error: Exception, status: int, words: str) -> None:
    assert reason(error, status) == words


def test_a_cause_is_found_and_a_circle_ends() -> None:
    outer = RuntimeError("wrapped")
    outer.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    assert reason(outer, 0) == "Connection refused"
    loop = ValueError("a")
    loop.__context__ = RuntimeError("b")
    loop.__context__.__context__ = loop
    assert reason(loop, 0).startswith("ValueError")
    assert last_sentence(KeyError()) == "KeyError"
