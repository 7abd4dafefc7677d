"""Answers without end: bytes are their sign of life, and how they end, or that they never were without end, is told apart."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from probes.connections import ConnectionRecord, Connections, Security, Target
from probes.connections.target import Version
from tests.probes import certificates
from tests.probes.certificates import Certificates
from tests.probes.conftest import wait_until, wait_until_ns
from tests.probes.wire import CLIENT, SERVER, Wire

pytestmark = pytest.mark.lab

MS = 1_000_000
COUNT, STREAMS = 3, 4
KINDS = ("1.1", "2", "1.1+tls", "2+tls")
HTTP2 = ("2", "2+tls")


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def connect(lab: Wire, scratch: Path, kind: str, path: str = "/stream") -> Connections:
    version: Version = "2" if kind.startswith("2") else "1.1"
    tls = Security() if kind.endswith("tls") else None
    return Connections(
        lab.netns("c"),
        scratch,
        vantage="c",
        targets=[Target(CLIENT, SERVER, 443, "web.test", http=version, tls=tls)],
        streams=[Target(CLIENT, SERVER, 443, "web.test", path, http=version, tls=tls)],
        per_stream=STREAMS,
        count=COUNT,
        interval_ns=200 * MS,
        stall_ns=600 * MS,
    )


def site(lab: Wire, certs: Certificates, kind: str, names: str, *options: str) -> subprocess.Popen[bytes]:
    tls = [f"tls={certs.server}"] if kind.endswith("tls") else []
    return lab.script("site.py", SERVER, "443", names, *tls, *options)


def streams(connections: Connections) -> list[ConnectionRecord]:
    return [r for r in connections.records() if r.use == "stream"]


def first(connections: Connections) -> list[ConnectionRecord]:
    return [r for r in streams(connections) if r.incarnation == 0]


def wait_for_signs(connections: Connections, count: int) -> None:
    wait_until(lambda: all(r.heartbeats >= count for r in streams(connections)), f"{count} signs of life each")


@pytest.mark.parametrize("kind", KINDS)
def test_they_go_on_and_are_told_of_once_an_interval(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1")
    with connect(lab, scratch, kind) as connections:
        assert connections.open_count() == connections.count == COUNT + STREAMS
        wait_for_signs(connections, 6)
        assert connections.unstreamed() == []
        records = streams(connections)
    assert {(r.backend, r.incarnation, r.errors, r.ended_ns, r.half) for r in records} == {("be-1", 0, 0, None, None)}
    for record in records:
        told = [b.answered_ns for b in record.beats]
        assert (told[-1] - told[0]) / (len(told) - 1) > 150 * MS
        assert all(20 * MS < b.answered_ns - b.sent_ns < 200 * MS for b in record.beats[1:])


def ends(lab: Wire, scratch: Path, certs: Certificates, kind: str, names: str) -> list[ConnectionRecord]:
    """The first streams, when all of them are over because the site has moved on to the second of its names."""
    server = site(lab, certs, kind, names)
    with connect(lab, scratch, kind) as connections:
        wait_for_signs(connections, 3)  # whole within an interval, it would be no stream
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: all(r.ended_ns for r in first(connections)), "all streams over")
        return first(connections)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["fin", "whole"])
def test_an_end_that_nothing_announced_breaks_them_by_closing(
    lab: Wire, scratch: Path, certs: Certificates, kind: str, how: str
) -> None:
    assert {r.broken_by for r in ends(lab, scratch, certs, kind, f"be-1,be-1+{how}")} == {"closed"}


@pytest.mark.parametrize("kind", HTTP2)
@pytest.mark.parametrize(("how", "by"), [("goaway", None), ("left", "closed"), ("stream", "reset")])
def test_of_http2_an_announced_and_whole_end_breaks_none(
    lab: Wire, scratch: Path, certs: Certificates, kind: str, how: str, by: str | None
) -> None:
    assert {r.broken_by for r in ends(lab, scratch, certs, kind, f"be-1,be-1+{how}")} == {by}


@pytest.mark.parametrize("kind", ["1.1", "1.1+tls"])
@pytest.mark.parametrize(
    ("head", "how", "by"), [("close", "whole", None), ("close", "fin", "closed"), ("bare", "fin", "closed")]
)
def test_of_http1_an_announced_and_whole_end_breaks_none(
    lab: Wire, scratch: Path, certs: Certificates, kind: str, head: str, how: str, by: str | None
) -> None:
    assert {r.broken_by for r in ends(lab, scratch, certs, kind, f"be-1+{head},be-1+{how}")} == {by}


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_breaks_them_by_reset(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1", "reset")
    with connect(lab, scratch, kind) as connections:
        server.kill()
        wait_until(lambda: all(r.ended_ns for r in first(connections)), "all streams over")
        assert {r.broken_by for r in first(connections)} == {"reset"}


@pytest.mark.parametrize("kind", KINDS)
def test_silence_breaks_them_by_stall_though_the_connection_answers(
    lab: Wire, scratch: Path, certs: Certificates, kind: str
) -> None:
    server = site(lab, certs, kind, "be-1,be-1+still", "ping")
    with connect(lab, scratch, kind) as connections:
        wait_for_signs(connections, 2)
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: all(r.waiting_ns for r in first(connections)), "all streams waited for")
        wait_until(lambda: all(r.ended_ns for r in first(connections)), "all streams over")
        assert {r.broken_by for r in first(connections)} == {"stall"}
        for record in first(connections):
            assert 600 * MS <= (record.broken_ns or 0) - (record.unanswered_ns or 0) < 900 * MS


@pytest.mark.parametrize("kind", KINDS)
def test_a_silence_shorter_than_the_budget_breaks_none_and_is_told(
    lab: Wire, scratch: Path, certs: Certificates, kind: str
) -> None:
    server = site(lab, certs, kind, "be-1")
    with connect(lab, scratch, kind) as connections:
        wait_for_signs(connections, 2)
        t0 = time.monotonic_ns()
        server.send_signal(signal.SIGSTOP)
        wait_until_ns(t0 + 300 * MS)
        server.send_signal(signal.SIGCONT)
        woken = time.monotonic_ns()
        wait_until(lambda: all((r.last_answer_ns or 0) > woken for r in streams(connections)), "signs of life again")
        assert {(r.incarnation, r.ended_ns) for r in streams(connections)} == {(0, None)}
        assert all(250 * MS < r.longest_wait_ns(t0, woken + 200 * MS) < 550 * MS for r in streams(connections))


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_page_is_no_stream_until_there_is_one(
    lab: Wire, scratch: Path, certs: Certificates, kind: str
) -> None:
    server = site(lab, certs, kind, "503,be-1")
    with connect(lab, scratch, kind) as connections:
        (told,) = connections.unstreamed()
        assert (told[0].path, told[1]) == ("/stream", 503)
        wait_until(lambda: all(r.errors >= 2 for r in streams(connections)), "asked again")
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: not connections.unstreamed(), "a stream")
        assert {(r.incarnation, r.ended_ns, r.backend) for r in streams(connections)} == {(0, None, "be-1")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["", "+close"])
def test_an_answer_that_is_whole_at_once_is_no_stream_and_asked_for_no_faster_than_others(
    lab: Wire, scratch: Path, certs: Certificates, kind: str, how: str
) -> None:
    site(lab, certs, kind, f"be-1{how}")
    with connect(lab, scratch, kind, "/") as connections:
        assert [(target.path, status) for target, status in connections.unstreamed()] == [("/", 200)]
        t0 = time.monotonic_ns()
        wait_until_ns(t0 + 1000 * MS)
        found = [b for r in streams(connections) for b in r.beats if b.sent_ns >= t0]
        assert STREAMS * 2 <= len(found) <= STREAMS * 6
        assert {r.broken_by for r in streams(connections)} == {None}


@pytest.mark.parametrize("kind", KINDS)
def test_renewed_they_are_all_new_ones(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1")
    with connect(lab, scratch, kind) as connections:
        connections.renew()
        assert [r.incarnation for r in streams(connections) if r.ended_ns is None] == [1] * STREAMS
        assert {r.broken_by for r in streams(connections)} == {None}
