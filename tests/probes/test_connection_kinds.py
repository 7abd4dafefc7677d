"""HTTP/1.1 and HTTP/2, each with and without TLS: what breaks a connection, what ends it by the protocol, and what never begins."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from probes.child import ProbeError
from probes.connections import ConnectionRecord, Connections, Security, Target
from probes.connections.target import Version
from tests.probes import certificates
from tests.probes.certificates import Certificates
from tests.probes.conftest import wait_until
from tests.probes.wire import CLIENT, SERVER, Wire

pytestmark = pytest.mark.lab

MS = 1_000_000
COUNT = 4
KINDS = ("1.1", "2", "1.1+tls", "2+tls")
HTTP2 = ("2", "2+tls")


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def target(kind: str, security: Security | None = None, host: str = "web.test") -> Target:
    version: Version = "2" if kind.startswith("2") else "1.1"
    tls = (security or Security()) if kind.endswith("tls") else None
    return Target(CLIENT, SERVER, 443, host, http=version, tls=tls)


def connect(
    lab: Wire, scratch: Path, to: Target, *, count: int = COUNT, interval_ms: int = 100, attempts_per_s: int = 100
) -> Connections:
    return Connections(
        lab.netns("c"),
        scratch,
        vantage="c",
        targets=[to],
        count=count,
        interval_ns=interval_ms * MS,
        stall_ns=max(2000, 2 * interval_ms) * MS,
        attempts_per_s=attempts_per_s,
        idle_every=0,
    )


def site(lab: Wire, certs: Certificates, kind: str, names: str, *options: str) -> subprocess.Popen[bytes]:
    tls = [f"tls={certs.server}"] if kind.endswith("tls") else []
    return lab.script("site.py", SERVER, "443", names, *tls, *options)


def broken(connections: Connections) -> list[ConnectionRecord]:
    return [r for r in connections.records() if r.broken_ns is not None]


def closed(connections: Connections) -> list[ConnectionRecord]:
    return [r for r in connections.records() if r.closed_ns is not None]


def wait_for_beats(connections: Connections, since_ns: int) -> None:
    def lively() -> bool:
        beating = [r for r in connections.records() if r.ended_ns is None and (r.last_answer_ns or 0) > since_ns]
        return len(beating) == connections.count

    wait_until(lively, "heartbeats on every connection")


@pytest.mark.parametrize("kind", KINDS)
def test_they_stay_open_and_beat(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1")
    with connect(lab, scratch, target(kind)) as connections:
        wait_until(lambda: all(r.heartbeats >= 5 for r in connections.records()), "five heartbeats each")
        records = connections.records()
    assert {(r.backend, r.incarnation, r.errors) for r in records} == {("be-1", 0, 0)}
    assert {(r.http, r.tls) for r in records} == {(kind.removesuffix("+tls"), kind.endswith("tls"))}
    assert broken(connections) == []
    assert closed(connections) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_breaks_them_by_reset(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1", "reset")
    with connect(lab, scratch, target(kind)) as connections:
        server.kill()
        wait_until(lambda: len(broken(connections)) == COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {"reset"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_server_breaks_them_by_stall(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGSTOP)
        wait_until(lambda: len(broken(connections)) >= COUNT, "all connections broken")
        first = [r for r in broken(connections) if r.incarnation == 0]
        server.send_signal(signal.SIGCONT)
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")
    assert {r.broken_by for r in first} == {"stall"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_from_another_backend_breaks_them(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1,be-2")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(broken(connections)) == COUNT, "all connections broken")
        assert {(r.broken_by, r.backend) for r in broken(connections)} == {("other-backend", "be-1")}
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_page_is_counted_and_breaks_none(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1,503,be-1")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: all(r.errors for r in connections.records()), "an error on every connection")
        server.send_signal(signal.SIGUSR1)
        wait_for_beats(connections, time.monotonic_ns() + 100 * MS)
        assert broken(connections) == []


@pytest.mark.parametrize(
    ("kind", "how"),
    [*((kind, "close") for kind in KINDS), *((kind, how) for kind in HTTP2 for how in ("goaway", "late"))],
)
def test_an_announced_end_breaks_nothing(lab: Wire, scratch: Path, certs: Certificates, kind: str, how: str) -> None:
    server = site(lab, certs, kind, f"be-1,be-1+{how},be-1")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: {r.id for r in closed(connections)} == set(range(COUNT)), "all connections closed")
        server.send_signal(signal.SIGUSR1)
        wait_for_beats(connections, time.monotonic_ns() + 100 * MS)
        assert broken(connections) == []
        assert all(r.heartbeats for r in closed(connections) if r.incarnation == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_goodbye_that_nobody_asked_for_breaks_nothing(
    lab: Wire, scratch: Path, certs: Certificates, kind: str
) -> None:
    server = site(lab, certs, kind, "be-1")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGUSR2)
        wait_until(lambda: {r.id for r in closed(connections)} == set(range(COUNT)), "all connections closed")
        wait_for_beats(connections, time.monotonic_ns())
        assert broken(connections) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_end_without_a_word_breaks_by_closing(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1,be-1+fin")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(broken(connections)) >= COUNT, "all connections broken")
        # (What its successors have to say to a server that is gone already is answered by a reset.)
        assert {r.broken_by for r in broken(connections) if r.incarnation == 0} == {"closed"}
        assert closed(connections) == []


@pytest.mark.parametrize("kind", HTTP2)
@pytest.mark.parametrize(("how", "by"), [("stream", "reset"), ("error", "closed")])
def test_a_stream_that_is_reset_or_an_error_breaks_them(
    lab: Wire, scratch: Path, certs: Certificates, kind: str, how: str, by: str
) -> None:
    server = site(lab, certs, kind, f"be-1,be-1+{how}")
    with connect(lab, scratch, target(kind)) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(broken(connections)) >= COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {by}


@pytest.mark.parametrize("kind", ["1.1+tls", "2+tls"])
def test_a_certificate_that_fits_is_taken(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1")
    with connect(lab, scratch, target(kind, Security(str(certs.ca)), "web.test:443")) as connections:
        assert connections.open_count() == COUNT


def refused(lab: Wire, scratch: Path, to: Target, deadline_s: float = 2.0) -> str:
    """What a start that cannot succeed says, after several attempts."""
    connections = connect(lab, scratch, to)
    with pytest.raises(ProbeError, match=f"0 of {COUNT} connections") as told:
        connections.start(deadline_s)
    assert len(connections.refusals()) >= COUNT
    assert connections.records() == [], "none of them was established"
    return str(told.value)


@pytest.mark.parametrize("kind", ["1.1+tls", "2+tls"])
def test_a_certificate_of_somebody_else_is_named(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1")
    assert "the certificate does not fit: " in refused(lab, scratch, target(kind, Security(str(certs.stranger))))


def test_a_certificate_made_out_to_somebody_else_is_named(lab: Wire, scratch: Path, certs: Certificates) -> None:
    site(lab, certs, "2+tls", "be-1")
    said = refused(lab, scratch, target("2+tls", Security(str(certs.ca)), "else.test"))
    assert "the certificate does not fit: " in said
    assert "else.test" in said


@pytest.mark.parametrize("kind", ["1.1+tls", "2+tls"])
def test_a_handshake_that_never_ends_is_given_up(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1", "mute")
    assert "(no TLS handshake in time)" in refused(lab, scratch, target(kind), deadline_s=4.0)


def test_who_speaks_no_http2_by_tls_is_named(lab: Wire, scratch: Path, certs: Certificates) -> None:
    site(lab, certs, "2+tls", "be-1", "old")
    assert "(HTTP/2 was not agreed on (ALPN: nothing))" in refused(lab, scratch, target("2+tls"))


def test_who_speaks_no_tls_is_named(lab: Wire, scratch: Path, certs: Certificates) -> None:
    site(lab, certs, "1.1", "be-1", "greet")
    assert "(no TLS: " in refused(lab, scratch, target("1.1+tls"))


def test_who_speaks_no_http2_breaks_them_by_closing(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "443", "be-1")
    connections = connect(lab, scratch, target("2"))
    with pytest.raises(ProbeError, match=f"0 of {COUNT} connections"):
        connections.start(1.5)
    assert {(r.broken_by, r.heartbeats) for r in connections.records() if r.ended_ns} == {("closed", 0)}


@pytest.mark.parametrize("kind", KINDS)
def test_those_renewed_are_all_new_ones(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1")
    with connect(lab, scratch, target(kind)) as connections:
        connections.renew()
        records = connections.records()
    assert broken(connections) == []
    assert {r.incarnation for r in records if r.closed_ns is None} == {1}


@pytest.mark.parametrize("kind", ["1.1", "2+tls"])
def test_a_thousand_are_held_and_none_is_said_to_have_broken(
    lab: Wire, scratch: Path, certs: Certificates, kind: str
) -> None:
    site(lab, certs, kind, "be-1")
    many = connect(lab, scratch, target(kind), count=1000, interval_ms=4000, attempts_per_s=200)
    many.start(40.0)
    try:
        assert many.open_count() == 1000
        wait_until(lambda: all(r.heartbeats >= 3 for r in many.records()), "three heartbeats each", deadline_s=40)
        records = many.records()
    finally:
        many.stop()
    assert broken(many) == []
    assert len(records) == 1000
    assert {r.backend for r in records} == {"be-1"}
