"""Lines of the connecting process add up to records; how long a heartbeat waited in a window is told right."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from probes.connections.ledger import Ledger
from probes.connections.log import (
    AnyLine,
    Asked,
    Beat,
    Broken,
    BrokenBy,
    Closed,
    ConnectionRecord,
    Heartbeat,
    Opened,
    Pulse,
    Unstreamed,
)

MS = 1_000_000


def opened(place: int, incarnation: int = 0) -> Opened:
    return Opened(place, incarnation, "10.0.0.1", 24000 + place, "10.0.0.2", 80, 5 * MS, 4 * MS)


def record(beats: list[tuple[int, int]], **more: int) -> ConnectionRecord:
    return ConnectionRecord(
        vantage="c",
        id=0,
        incarnation=0,
        src="10.0.0.1",
        sport=24000,
        dst="10.0.0.2",
        dport=80,
        opened_ns=0,
        beats=tuple(Heartbeat(sent, answered, 200, "be-1") for sent, answered in beats),
        **more,
    )


def test_a_closed_connection_is_over_and_not_broken() -> None:
    ledger = Ledger("c")
    ledger.add([opened(0), Beat(0, 0, 5 * MS, 6 * MS, 200, "be-1"), Closed(0, 0, 7 * MS)])
    ledger.add([opened(1), Beat(1, 0, 5 * MS, 6 * MS, 200, "be-1"), Broken(1, 0, "reset", 8 * MS, None)])
    ledger.add([opened(2), Beat(2, 0, 5 * MS, 6 * MS, 200, "be-1")])
    assert ledger.open_ids() == {2}
    assert [(r.closed_ns, r.broken_ns, r.ended_ns) for r in ledger.records()] == [
        (7 * MS, None, 7 * MS),
        (None, 8 * MS, 8 * MS),
        (None, None, None),
    ]
    assert {r.started_ns for r in ledger.records()} == {4 * MS}


def test_a_waiting_heartbeat_is_known_until_it_is_answered_or_breaks_the_connection() -> None:
    ledger = Ledger("c")
    ledger.add([opened(0), opened(1), Pulse(300 * MS, 0, ((0, 0, 100 * MS), (1, 0, 120 * MS)))])
    assert [r.waiting_ns for r in ledger.records()] == [100 * MS, 120 * MS]
    ledger.add([Beat(0, 0, 100 * MS, 310 * MS, 200, "be-1"), Broken(1, 0, "stall", 320 * MS, 120 * MS)])
    assert [r.waiting_ns for r in ledger.records()] == [None, None]
    ledger.add([Pulse(400 * MS, 0)])
    assert [r.waiting_ns for r in ledger.records()] == [None, None]


def test_the_longest_wait_is_that_of_heartbeats_under_way_in_the_window() -> None:
    beats = [(0, 10), (100, 130), (200, 900), (1000, 1005)]
    assert record(beats).longest_wait_ns(0, 150) == 30
    assert record(beats).longest_wait_ns(100, 500) == 300  # still without an answer at the window's end
    assert record(beats).longest_wait_ns(500, 950) == 700  # sent before the window, answered in it
    assert record(beats).longest_wait_ns(950, 1000) == 0
    assert record(beats, unanswered_ns=1100, broken_ns=3100).longest_wait_ns(1000, 9000) == 2000
    assert record(beats, waiting_ns=1100).longest_wait_ns(1000, 9000) == 7900


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500)), max_size=12),
    st.integers(0, 5000),
    st.integers(1, 3000),
)
def test_waits_are_those_of_a_clock_that_ticks_through_the_window(
    gaps: list[tuple[int, int]], t0: int, length: int
) -> None:
    beats, at = [], 0
    for pause, wait in gaps:
        beats.append((at + pause, at + pause + wait))
        at += pause + wait
    t1 = t0 + length
    ticked = [min(answered, t1) - sent for sent, answered in beats if any(t0 <= t < t1 for t in range(sent, answered))]
    assert record(beats).longest_wait_ns(t0, t1) == max(ticked, default=0)


def test_records_of_a_time_leave_out_what_had_ended_before_it() -> None:
    ledger = Ledger("c")
    ledger.add([opened(0), Closed(0, 0, 7 * MS), opened(1), Broken(1, 0, "reset", 8 * MS, None), opened(2)])
    assert [r.id for r in ledger.records()] == [0, 1, 2]
    assert [r.id for r in ledger.records(8 * MS)] == [1, 2]
    assert [r.id for r in ledger.records(9 * MS)] == [2]


def test_a_place_is_fresh_when_its_newest_connection_was_opened_since_and_answered() -> None:
    ledger = Ledger("c")
    ledger.add([opened(0), Beat(0, 0, 5 * MS, 6 * MS, 200, "be-1"), opened(1)])
    assert [ledger.fresh(t * MS) for t in (0, 5, 6)] == [1, 1, 0]
    ledger.add([Closed(0, 0, 7 * MS), opened(0, 1)])
    assert ledger.fresh(0) == 0
    assert ledger.open_ids() == set()
    ledger.add([Beat(0, 1, 8 * MS, 9 * MS, 200, "be-1"), Beat(1, 0, 8 * MS, 9 * MS, 503, None)])
    assert ledger.fresh(0) == 2
    assert [(r.errors, r.backend) for r in ledger.records()] == [(0, "be-1"), (1, None), (0, "be-1")]


def test_a_line_of_an_older_version_is_one_of_a_connection_in_the_clear_by_the_first_version() -> None:
    line = b'{"kind":"opened","id":0,"incarnation":0,"src":"a","sport":1,"dst":"b","dport":2,"t_ns":3}'
    ledger = Ledger("c")
    ledger.add([msgspec.json.decode(line, type=AnyLine)])
    assert [(r.http, r.tls, r.use, r.half) for r in ledger.records()] == [("1.1", False, "busy", None)]


def idle(place: int, half: int) -> Opened:
    return Opened(place, 0, "10.0.0.1", 24000 + place, "10.0.0.2", 80, 5 * MS, 4 * MS, use="idle", half=half)


def test_a_half_was_asked_when_each_of_it_answered_or_is_over() -> None:
    ledger = Ledger("c")
    ledger.add([idle(0, 0), idle(1, 0), idle(2, 1)])
    ledger.add([Beat(place, 0, 5 * MS, 6 * MS, 200, "be-1") for place in range(3)])
    assert {(r.use, r.half) for r in ledger.records()} == {("idle", 0), ("idle", 1)}
    assert ledger.asked(0, 0) is None, "nobody has told yet"
    ledger.add([Asked(0, 10 * MS, ((0, 0, 11 * MS), (1, 0, 12 * MS)))])
    assert ledger.asked(0, 10 * MS) == (2, 2)
    assert ledger.asked(1, 10 * MS) is None, "the halves are told apart"
    ledger.add([Beat(0, 0, 11 * MS, 13 * MS, 200, "be-1")])
    assert ledger.asked(0, 10 * MS) == (2, 1)
    ledger.add([Broken(1, 0, "stall", 2012 * MS, 12 * MS)])
    assert ledger.asked(0, 10 * MS) == (2, 0)
    assert ledger.asked(0, 3000 * MS) is None, "asked once more, and nobody has told yet"


def ended(place: int, opened_s: float, age_s: float, use: str = "idle", by: BrokenBy = "closed") -> list[AnyLine]:
    """A connection that was opened then, answered once, and ended unasked at that age."""
    t, ends = int(opened_s * 1000 * MS), int((opened_s + age_s) * 1000 * MS)
    first = Opened(place, 0, "10.0.0.1", 24000 + place, "10.0.0.2", 80, t, t - MS, use=use)  # type: ignore[arg-type]
    return [first, Beat(place, 0, t, t, 200, "be-1"), Broken(place, 0, by, ends, None)]


def test_an_idle_connection_that_is_closed_for_its_age_breaks_nothing() -> None:
    """A service that closes what is silent for 5 s would else be quiet never."""
    lines = [line for n in range(10) for line in ended(n, opened_s=n, age_s=5)]
    told, seen = Ledger("c", {("10.0.0.2", 80): 5000 * MS}), Ledger("c")
    told.add(lines)
    seen.add(lines)
    assert told.last_break_ns(0) == -1
    assert seen.last_break_ns(0) == -1, "ages that are one show by themselves"


def test_one_that_is_reset_early_or_is_busy_breaks() -> None:
    lines = [line for n in range(10) for line in ended(n, opened_s=n, age_s=5)]
    for odd in (ended(20, opened_s=3, age_s=2), ended(20, opened_s=3, age_s=2, use="busy")):
        ledger = Ledger("c", {("10.0.0.2", 80): 5000 * MS})
        ledger.add([*lines, *odd])
        assert ledger.last_break_ns(0) == 5000 * MS
    all_at_once = Ledger("c")
    all_at_once.add([line for n in range(10) for line in ended(n, opened_s=n, age_s=12 - n)])
    assert all_at_once.last_break_ns(0) == 12_000 * MS, "one instant is no age"


def test_what_should_stream_and_does_not_is_an_error_until_it_does() -> None:
    ledger = Ledger("c")
    ledger.add(
        [opened(0), Unstreamed(0, 0, 5 * MS, 6 * MS, 404, None), opened(1), Unstreamed(1, 0, 5 * MS, 6 * MS, 200, "a")]
    )
    assert ledger.unstreamed == {0: 404, 1: 200}
    assert [(r.errors, r.heartbeats) for r in ledger.records()] == [(1, 1), (1, 1)]
    assert ledger.open_ids() == {0, 1}
    ledger.add([Beat(1, 0, 1005 * MS, 1006 * MS, 200, "a")])
    assert ledger.unstreamed == {0: 404}
    assert [r.errors for r in ledger.records()] == [1, 1]
