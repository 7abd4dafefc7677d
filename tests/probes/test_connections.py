"""Long-lived connections against servers that die, freeze, change and stumble: each must be told apart."""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from probes.child import ProbeError
from probes.connections import ConnectionRecord, Connections, Target
from probes.readings import read_connections
from probes.trust import TrustInput, check_trust
from tests.probes.conftest import wait_until, wait_until_ns
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire

pytestmark = pytest.mark.lab

MS = 1_000_000
COUNT = 6


def connect(lab: Wire, scratch: Path, src: str = CLIENT, dst: str = SERVER, count: int = COUNT) -> Connections:
    return Connections(
        lab.netns("c"),
        scratch,
        vantage="c",
        src=src,
        dst=dst,
        dport=80,
        host="web.test",
        count=count,
        interval_ns=100 * MS,
        stall_ns=500 * MS,
        idle_every=0,
    )


def broken(connections: Connections) -> list[ConnectionRecord]:
    return [r for r in connections.records() if r.broken_ns is not None]


def beats_everywhere(connections: Connections, since_ns: int) -> bool:
    lively = [r for r in connections.records() if r.broken_ns is None and (r.last_answer_ns or 0) > since_ns]
    return len(lively) == connections.count


@pytest.mark.parametrize(("src", "dst"), [(CLIENT, SERVER), (CLIENT6, SERVER6)])
def test_connections_stay_open_and_beat(lab: Wire, scratch: Path, src: str, dst: str) -> None:
    lab.responder("http", dst, "80", "be-1")
    with connect(lab, scratch, src, dst) as connections:
        assert connections.open_count() == COUNT
        wait_until(lambda: all(r.heartbeats >= 5 for r in connections.records()), "five heartbeats each")
        records = connections.records()
    assert [r.id for r in sorted(records, key=lambda r: r.id)] == list(range(COUNT))
    assert {(r.src, r.dst, r.dport, r.backend, r.incarnation) for r in records} == {(src, dst, 80, "be-1", 0)}
    assert len({r.sport for r in records}) == COUNT
    assert broken(connections) == []  # and our own end broke none either
    for record in records:
        sent = [b.sent_ns for b in record.beats]
        assert all(b.sent_ns < b.answered_ns for b in record.beats)
        gaps = [b - a for a, b in itertools.pairwise(sent[1:])]
        assert sum(gaps) / len(gaps) == pytest.approx(100 * MS, rel=0.5)


def test_a_server_that_resets_breaks_them_by_reset_and_they_come_back(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1", "reset")
    with connect(lab, scratch) as connections:
        before = time.monotonic_ns()
        server.kill()
        wait_until(lambda: len(broken(connections)) == COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {"reset"}
        assert all(before <= (r.broken_ns or 0) for r in broken(connections))
        assert connections.open_count() == 0
        wait_until(lambda: len(connections.refusals()) >= COUNT, "refused attempts")
        assert {r.reason for r in connections.refusals()} == {"Connection refused"}
        assert all(before < r.started_ns <= r.t_ns and r.dst == SERVER for r in connections.refusals())
        lab.responder("http", SERVER, "80", "be-2")
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")
        again = [r for r in connections.records() if r.incarnation == 1]
    assert {r.id for r in again} == set(range(COUNT))
    assert {r.backend for r in again} == {"be-2"}
    assert {r.sport for r in again}.isdisjoint({r.sport for r in broken(connections)})


def test_a_server_that_hangs_up_breaks_them_by_closing(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        server.kill()
        wait_until(lambda: len(broken(connections)) == COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {"closed"}


def closed(connections: Connections) -> list[ConnectionRecord]:
    return [r for r in connections.records() if r.closed_ns is not None]


@pytest.mark.parametrize("how", ["close", "eof"])
def test_an_announced_end_is_the_protocols_and_breaks_nothing(lab: Wire, scratch: Path, how: str) -> None:
    server = lab.responder("http", SERVER, "80", f"be-1,be-1+{how},be-1")
    with connect(lab, scratch) as connections:
        before = time.monotonic_ns()
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: {r.id for r in closed(connections)} == set(range(COUNT)), "all connections closed")
        server.send_signal(signal.SIGUSR1)
        healed = time.monotonic_ns()
        wait_until(lambda: beats_everywhere(connections, healed + 100 * MS), "heartbeats on new connections")
        assert broken(connections) == []
        records = connections.records()
    assert connections.refusals() == []
    for record in closed(connections):
        assert before < (record.closed_ns or 0)
        assert record.ended_ns == record.closed_ns
        assert record.heartbeats >= 1
        successor = next(r for r in records if (r.id, r.incarnation) == (record.id, record.incarnation + 1))
        assert 0 <= successor.started_ns - (record.closed_ns or 0) < 500 * MS
        assert successor.sport != record.sport


@pytest.mark.parametrize("how", ["fin", "cut"])
def test_an_end_without_a_word_or_amid_an_answer_breaks_by_closing(lab: Wire, scratch: Path, how: str) -> None:
    server = lab.responder("http", SERVER, "80", f"be-1,be-1+{how}")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(broken(connections)) >= COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {"closed"}
        assert closed(connections) == []


def test_a_time_out_page_that_nobody_asked_for_announces_the_end(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGUSR2)
        wait_until(lambda: {r.id for r in closed(connections)} == set(range(COUNT)), "all connections closed")
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")
        assert broken(connections) == []


def test_connections_renewed_are_all_new_ones_and_none_is_broken(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        before = {(r.id, r.incarnation) for r in connections.records()}
        connections.renew()
        assert connections.open_count() == COUNT
        records = connections.records()
    assert broken(connections) == []
    assert {(r.id, r.incarnation) for r in records if r.closed_ns is not None} == before
    assert {r.id for r in records if r.closed_ns is None} == set(range(COUNT))


def test_a_renewal_that_was_begun_earlier_is_only_waited_for(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        connections.begin_renewal()
        connections.renew()
        once = connections.records()
        connections.renew()
        twice = connections.records()
    assert len(once) == 2 * COUNT, "one renewal, not two"
    assert len(twice) == 3 * COUNT, "the next one begins by itself"
    assert broken(connections) == []


def test_connections_that_cannot_be_renewed_are_told(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        server.kill()
        with pytest.raises(ProbeError, match=f"0 of {COUNT} were opened anew"):
            connections.renew(deadline_s=0.5)


def test_places_are_spread_over_all_targets(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "80", "be-4")
    lab.responder("http", SERVER6, "81", "be-6")
    targets = (Target(CLIENT, SERVER, 80, "web.test"), Target(CLIENT6, SERVER6, 81, "web.test"))
    with Connections(
        lab.netns("c"), scratch, vantage="c", targets=targets, count=7, interval_ns=100 * MS, idle_every=0
    ) as connections:
        records = connections.records()
    assert {r.id: (r.src, r.dst, r.dport, r.backend) for r in records} == {
        i: ((CLIENT, SERVER, 80, "be-4"), (CLIENT6, SERVER6, 81, "be-6"))[i % 2] for i in range(7)
    }


def test_connections_without_a_target_are_refused(scratch: Path) -> None:
    with pytest.raises(ValueError, match="need a target"):
        Connections(Path("/run/netns/x"), scratch, vantage="c")


def test_heartbeats_are_spread_over_the_interval(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        wait_until(lambda: all(r.heartbeats >= 8 for r in connections.records()), "eight heartbeats each")
        records = sorted(connections.records(), key=lambda r: r.id)
    origin = records[0].beats[4].sent_ns
    even = 100 * MS / COUNT
    # from where each should be, before the median: half of an interval away is as far ahead as behind
    offsets = [
        statistics.median((b.sent_ns - origin - i * even + 50 * MS) % (100 * MS) - 50 * MS for b in r.beats[1:])
        for i, r in enumerate(records)
    ]
    assert max(map(abs, offsets)) < even


def test_a_heartbeat_that_waits_is_seen_before_it_is_answered(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGSTOP)
        t0 = time.monotonic_ns()
        wait_until(lambda: all(r.waiting_ns for r in connections.records()), "all connections waiting")
        t1 = time.monotonic_ns()
        waits = [r.longest_wait_ns(t0, t1) for r in connections.records() if r.waiting_ns]
        server.send_signal(signal.SIGCONT)
    assert len(waits) == COUNT
    assert all(100 * MS < wait < t1 - t0 + 200 * MS for wait in waits)


def test_a_frozen_server_breaks_them_by_stall_after_the_budget(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGSTOP)
        wait_until(lambda: len(broken(connections)) >= COUNT, "all connections broken")
        first = [r for r in broken(connections) if r.incarnation == 0]
        server.send_signal(signal.SIGCONT)
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")
    assert {r.broken_by for r in first} == {"stall"}
    for record in first:
        assert record.broken_ns is not None
        assert record.unanswered_ns is not None
        assert 500 * MS <= record.broken_ns - record.unanswered_ns < 800 * MS


def test_a_freeze_shorter_than_the_budget_breaks_none(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGSTOP)
        wait_until_ns(time.monotonic_ns() + 250 * MS)
        server.send_signal(signal.SIGCONT)
        woken = time.monotonic_ns()
        wait_until(lambda: beats_everywhere(connections, woken + 100 * MS), "heartbeats after the freeze")
        assert broken(connections) == []
        assert max(r.longest_answer_ns for r in connections.records()) > 150 * MS
        assert max(r.longest_wait_ns(woken - 100 * MS, woken) for r in connections.records()) > 150 * MS


def test_an_answer_from_another_backend_breaks_them(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1,be-2")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(broken(connections)) == COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {"other-backend"}
        assert {r.backend for r in broken(connections)} == {"be-1"}
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")
        assert {r.backend for r in connections.records() if r.incarnation == 1} == {"be-2"}


def test_an_error_page_is_counted_and_breaks_no_connection(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1,503,be-1")
    with connect(lab, scratch) as connections:
        server.send_signal(signal.SIGUSR1)
        wait_until(lambda: all(r.errors for r in connections.records()), "an error on every connection")
        server.send_signal(signal.SIGUSR1)
        healed = time.monotonic_ns()
        wait_until(lambda: beats_everywhere(connections, healed + 100 * MS), "heartbeats after the errors")
        assert broken(connections) == []


def test_our_own_stall_breaks_none_and_is_reported(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "80", "be-1")
    with connect(lab, scratch, count=40) as connections:
        t0 = time.monotonic_ns()
        os.kill(connections.pid, signal.SIGSTOP)
        wait_until_ns(t0 + 1200 * MS)
        during = failed_checks(connections, t0)
        os.kill(connections.pid, signal.SIGCONT)
        woken = time.monotonic_ns()
        wait_until(lambda: beats_everywhere(connections, woken + 100 * MS), "heartbeats after the stall")
        assert broken(connections) == []
        assert "connector" in during
        assert failed_checks(connections, t0) == {"connector-lag"}


def failed_checks(connections: Connections, t0: int) -> set[str]:
    reading = read_connections(connections, t0, time.monotonic_ns())
    given = TrustInput((), (reading,), 0, 0, None, None, None, None)
    return {c.check for c in check_trust(given) if not c.ok} - {"prober", "lateness", "stall"}


def test_a_severed_wire_breaks_them_by_stall(lab: Wire, scratch: Path) -> None:
    lab.responder("http", SERVER, "80", "be-1")
    forwarding = lab.sysctl("r", "ipv4/ip_forward")
    with connect(lab, scratch) as connections:
        forwarding.write("0")
        wait_until(lambda: len(broken(connections)) == COUNT, "all connections broken")
        assert {r.broken_by for r in broken(connections)} == {"stall"}
        forwarding.write("1")
        wait_until(lambda: connections.open_count() == COUNT, "all connections open again")


def test_start_says_how_many_were_missing_and_why(lab: Wire, scratch: Path) -> None:
    connections = connect(lab, scratch)
    with pytest.raises(ProbeError, match=r"connections of c: .*: 0 of 6 .* were answered \(Connection refused\)"):
        connections.start(deadline_s=1.5)
    assert not connections.alive()
