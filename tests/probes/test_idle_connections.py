"""Idle connections: silent until a half of them is asked, and each way in which they end meanwhile or then is told apart."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
from pathlib import Path

import pytest

from probes.child import ProbeError
from probes.connections import ASKED_WITHIN_S, ConnectionRecord, Connections, Security, Target
from probes.connections.aging import closed_by_age
from probes.connections.target import Version
from tests.probes import certificates
from tests.probes.certificates import Certificates
from tests.probes.conftest import wait_until
from tests.probes.wire import CLIENT, SERVER, Wire

pytestmark = pytest.mark.lab

MS = 1_000_000
COUNT = 12
KINDS = ("1.1", "2", "1.1+tls", "2+tls")


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def connect(lab: Wire, scratch: Path, kind: str = "1.1", *, attempts_per_s: int = 100) -> Connections:
    version: Version = "2" if kind.startswith("2") else "1.1"
    tls = Security() if kind.endswith("tls") else None
    return Connections(
        lab.netns("c"),
        scratch,
        vantage="c",
        targets=[Target(CLIENT, SERVER, 443, "web.test", http=version, tls=tls)],
        count=COUNT,
        interval_ns=100 * MS,
        stall_ns=500 * MS,
        attempts_per_s=attempts_per_s,
    )


def site(lab: Wire, certs: Certificates, kind: str, names: str, *options: str) -> subprocess.Popen[bytes]:
    tls = [f"tls={certs.server}"] if kind.endswith("tls") else []
    return lab.script("site.py", SERVER, "443", names, *tls, *options)


def idle(connections: Connections, half: int | None = None) -> list[ConnectionRecord]:
    return [r for r in connections.records() if r.use == "idle" and half in (None, r.half)]


def first(connections: Connections) -> list[ConnectionRecord]:
    """Those that were opened at the start: who dies may accept one more, and reset it."""
    return [r for r in idle(connections) if r.incarnation == 0]


def ended(records: list[ConnectionRecord]) -> list[ConnectionRecord]:
    return [r for r in records if r.ended_ns is not None]


def ask(connections: Connections, half: int) -> None:
    connections.ask_idle(half)
    wait_until(lambda: not connections.asked(half), f"half {half} asked", deadline_s=ASKED_WITHIN_S + 3)


def wait_for_beats(connections: Connections, count: int) -> None:
    """Until busy ones have beaten so often."""
    wait_until(
        lambda: all(r.heartbeats >= count for r in connections.records() if r.use == "busy"), f"{count} heartbeats each"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_third_says_nothing_until_its_half_is_asked(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1", "ping")
    with connect(lab, scratch, kind) as connections:
        assert connections.open_count() == COUNT
        wait_for_beats(connections, 6)
        assert {(r.half, r.heartbeats, r.backend) for r in idle(connections)} == {(0, 1, "be-1"), (1, 1, "be-1")}
        assert len(idle(connections)) == COUNT // 3
        assert "was not asked" in connections.asked(0)
        ask(connections, 0)
        assert {(r.half, r.heartbeats) for r in idle(connections)} == {(0, 2), (1, 1)}
        ask(connections, 1)
        assert {(r.half, r.heartbeats) for r in idle(connections)} == {(0, 2), (1, 2)}
        assert ended(connections.records()) == [], "HTTP/2's pings were answered meanwhile"


def test_a_half_is_asked_at_a_pace(lab: Wire, scratch: Path, certs: Certificates) -> None:
    site(lab, certs, "1.1", "be-1")
    with connect(lab, scratch) as connections:
        before = time.monotonic_ns()
        ask(connections, 0)
        sent = sorted(r.beats[-1].sent_ns - before for r in idle(connections, 0))
    assert sent[-1] - sent[0] == pytest.approx((len(sent) - 1) / len(sent) * ASKED_WITHIN_S * 1e9, rel=0.3)
    assert sent[-1] < ASKED_WITHIN_S * 1e9 + 200 * MS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("options", "by"), [(("reset",), "reset"), ((), "closed")])
def test_a_reset_and_a_close_without_a_word_break_them_when_they_come(
    lab: Wire, scratch: Path, certs: Certificates, kind: str, options: tuple[str, ...], by: str
) -> None:
    server = site(lab, certs, kind, "be-1", *options)
    with connect(lab, scratch, kind) as connections:
        wait_for_beats(connections, 3)  # who dies before it has read what was owed to it resets
        before = time.monotonic_ns()
        server.kill()
        wait_until(lambda: len(ended(first(connections))) == COUNT // 3, "all idle ones broken")
        assert {(r.broken_by, r.unanswered_ns) for r in first(connections)} == {(by, None)}
        assert all(before < (r.broken_ns or 0) < before + 1000 * MS for r in first(connections))
        site(lab, certs, kind, "be-2")
        wait_until(lambda: connections.open_count() == COUNT, "all open again")
        again = [r for r in idle(connections) if r.ended_ns is None]
        assert {(r.half, r.backend) for r in again} == {(0, "be-2"), (1, "be-2")}, "filled anew by idle ones"


@pytest.mark.parametrize("kind", KINDS)
def test_a_goodbye_meanwhile_breaks_none(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1")
    with connect(lab, scratch, kind) as connections:
        server.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(ended(first(connections))) == COUNT // 3, "all idle ones closed")
        wait_until(lambda: connections.open_count() == COUNT, "all open again")
        assert {r.broken_by for r in first(connections)} == {None}


@pytest.mark.parametrize("kind", ["1.1", "2+tls"])
def test_who_has_gone_silent_is_found_out_by_asking_and_only_for_the_half_that_was_asked(
    lab: Wire, scratch: Path, certs: Certificates, kind: str
) -> None:
    server = site(lab, certs, kind, "be-1")
    with connect(lab, scratch, kind) as connections:
        server.send_signal(signal.SIGSTOP)
        wait_until(lambda: any(r.use == "busy" for r in ended(connections.records())), "busy ones broken")
        assert ended(idle(connections)) == []
        connections.ask_idle(0)
        wait_until(lambda: "have neither answered nor ended" in connections.asked(0), "asked in vain")
        wait_until(lambda: not connections.asked(0), "half 0 asked")
        assert {(r.half, r.broken_by) for r in ended(idle(connections))} == {(0, "stall")}
        assert all((r.unanswered_ns or 0) > r.beats[0].answered_ns for r in ended(idle(connections)))
        server.send_signal(signal.SIGCONT)
        ask(connections, 1)
        assert {r.half for r in ended(idle(connections))} == {0}
        assert {r.heartbeats for r in idle(connections, 1)} == {2}


def test_a_way_that_was_cut_meanwhile_and_forgotten_is_found_out_by_asking(
    lab: Wire, scratch: Path, certs: Certificates
) -> None:
    server = site(lab, certs, "1.1", "be-1,be-2")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: any(r.use == "busy" for r in ended(connections.records())), "busy ones broken")
        assert ended(idle(connections)) == []
        ask(connections, 1)
        assert {(r.half, r.broken_by) for r in ended(idle(connections))} == {(1, "other-backend")}


def test_asking_those_that_are_not_there_waits_for_nobody(lab: Wire, scratch: Path, certs: Certificates) -> None:
    server = site(lab, certs, "1.1", "be-1")
    with connect(lab, scratch) as connections:
        server.kill()
        wait_until(lambda: len(ended(first(connections))) == COUNT // 3, "all idle ones broken")
        ask(connections, 0)
        connections.stop()
        with pytest.raises(ProbeError, match="was not told to ask 1"):
            connections.ask_idle(1)


def test_renewed_they_are_idle_again_and_opened_at_different_times(
    lab: Wire, scratch: Path, certs: Certificates
) -> None:
    site(lab, certs, "1.1", "be-1")
    with connect(lab, scratch) as connections:
        connections.renew()
        assert connections.open_count() == COUNT
        opened = sorted(r.opened_ns for r in idle(connections) if r.ended_ns is None)
    assert len(opened) == COUNT // 3
    assert all(later - earlier > 10 * MS for earlier, later in itertools.pairwise(opened))


def of_age(records: list[ConnectionRecord], idle_ns: int | None = None) -> set[bool]:
    return {closed_by_age(r, [other for other in records if other is not r], idle_ns) for r in records}


@pytest.mark.parametrize("kind", ["1.1", "2+tls"])
def test_closed_for_their_age(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    site(lab, certs, kind, "be-1", "idle=1500")
    with connect(lab, scratch, kind, attempts_per_s=8) as connections:
        wait_until(lambda: len(ended(first(connections))) == COUNT // 3, "all idle ones closed")
        closed = first(connections)
        assert ended([r for r in connections.records() if r.use == "busy"]) == []
    assert {r.broken_by for r in closed} == {"closed"}
    assert of_age(closed) == {True}
    assert of_age(closed[:1]) == {False}
    assert of_age(closed[:1], 1500 * MS) == {True}


@pytest.mark.parametrize("kind", ["1.1", "2+tls"])
def test_closed_by_an_instant(lab: Wire, scratch: Path, certs: Certificates, kind: str) -> None:
    server = site(lab, certs, kind, "be-1")
    with connect(lab, scratch, kind, attempts_per_s=8) as connections:
        wait_for_beats(connections, 3)
        server.kill()
        wait_until(lambda: len(ended(first(connections))) == COUNT // 3, "all idle ones broken")
        closed = first(connections)
    assert {r.broken_by for r in closed} == {"closed"}
    assert of_age(closed) == {False}
