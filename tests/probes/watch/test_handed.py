"""Nodes' own events are taken line by line; a bad line costs itself, a restarted node is found again."""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.watch.drops import HandedDrop
from probes.watch.event import TimelineEvent
from probes.watch.handed import ACC_NS, LONGEST_LINE, MOST_READS, PIECE, Handed, Lines, Recent, Taken, parse
from reports.evidence.handed import Flow
from tests.probes.conftest import wait_until
from tests.probes.watch.made import patient

GOOD = {"t_ns": 5, "source": "l4", "what": "unhealthy", "detail": "us-l7-1 did not answer"}


def line(**other: object) -> bytes:
    return json.dumps(GOOD | other).encode() + b"\n"


def test_a_line_is_an_event() -> None:
    assert parse("us-l4-1", line(), 9) == TimelineEvent(
        5, ACC_NS, "us-l4-1", "l4", "unhealthy", "us-l7-1 did not answer"
    )
    assert parse("us-l4-1", line(peer="us-l7-1", more=1), 9).peer == "us-l7-1"


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"\xff\xfe", line(t_ns="5"), line(t_ns=10), line(t_ns=0), line(what=""), line(source=None)],
)
def test_what_is_not_an_event_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse("n", raw, 9)


@patient
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        parse("n", raw, 9)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - most examples end here


@patient
@given(
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b and b.strip()), max_size=8),
    st.integers(1, 9),
)
def test_lines_come_back_however_they_were_cut(lines: list[bytes], size: int) -> None:
    raw = b"".join(each + b"\n" for each in lines)
    taken, found = Lines(), []
    for at in range(0, len(raw), size):
        found += taken.feed(raw[at : at + size])
    assert found == lines


FLOW = {"src": "198.51.100.2", "sport": 40000, "dst": "203.0.113.20", "dport": 7, "protocol": 17}
DROP = {"what": "drop", "reason": "no_backend", "count": 3, "first_ns": 2, "last_ns": 4}


def test_a_drop_is_no_event() -> None:
    assert parse("n", line(**DROP, flow=FLOW), 9) == HandedDrop(
        "n", "l4", "no_backend", Flow("198.51.100.2", 40000, "203.0.113.20", 7, 17), 3, 2, 4, str(GOOD["detail"])
    )
    nameless = parse("n", line(**DROP), 9)
    assert isinstance(nameless, HandedDrop)
    assert nameless.flow is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"reason": ""}, "reason"),
        ({"count": 0}, "count"),
        ({"first_ns": 5}, "first_ns is after last_ns"),
        ({"last_ns": 10}, "last_ns is not of CLOCK_MONOTONIC"),
        ({"t_ns": 10}, "t_ns is not of CLOCK_MONOTONIC"),
        ({"flow": FLOW | {"src": "::1"}}, "two families"),
        ({"flow": FLOW | {"dst": "eu-l7-1"}}, "eu-l7-1"),
        ({"flow": FLOW | {"dport": 65536}}, "dport"),
        ({"flow": {"src": "::1"}}, "flow"),
        ({"source": ""}, "source"),
    ],
)
def test_a_drop_that_cannot_be_is_refused_and_says_why(changed: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse("n", line(**DROP | {"flow": FLOW} | changed), 9)


def test_a_line_that_never_ends_is_given_up() -> None:
    assert [len(x) for x in Lines().feed(b"x" * (LONGEST_LINE + 1))] == [LONGEST_LINE + 1]


class Node:
    """A node's side: listens, and takes one client."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(5)

    def client(self) -> socket.socket:
        return self.listener.accept()[0]


@pytest.fixture
def handed(scratch: Path) -> Iterator[Handed]:
    opened = Handed(lambda: {"n": scratch / "events.sock"})
    yield opened
    opened.close()


def _until(handed: Handed, count: int) -> Taken:
    found = Taken()

    def enough() -> bool:
        taken = handed.step()
        found.events.extend(taken.events)
        found.drops.extend(taken.drops)
        found.complaints.extend(taken.complaints)
        return len(found.events) + len(found.drops) >= count

    wait_until(enough, f"{count} events or drops")
    return found


def test_a_node_is_found_again_and_bad_lines_are_counted_and_told_once(handed: Handed, scratch: Path) -> None:
    handed.step()
    assert "n" in handed.failing
    node = Node(scratch / "events.sock")
    wait_until(lambda: bool(handed.step() and handed.filenos()), "a connection")
    assert handed.failing == {}
    with node.client() as client:
        client.sendall(line(what="first") + b"nonsense\n" + b"{}\n" + line(t_ns=time.monotonic_ns(), what="second"))
        taken = _until(handed, 2)
    assert [e.what for e in taken.events] == ["first", "second"]
    assert len(taken.complaints) == 1
    assert handed.malformed["n"] == 2
    node.listener.close()
    wait_until(lambda: not (handed.step() and handed.filenos()), "the end of the connection")
    again = Node(scratch / "events.sock")
    wait_until(lambda: bool(handed.step() and handed.filenos()), "a connection to the restarted node")
    with again.client() as client:
        client.sendall(line(what="third"))
        assert [e.what for e in _until(handed, 1).events] == ["third"]
    again.listener.close()


def test_drops_and_events_come_apart_and_in_order(handed: Handed, scratch: Path) -> None:
    node = Node(scratch / "events.sock")
    wait_until(lambda: bool(handed.step() and handed.filenos()), "a connection")
    with node.client() as client:
        client.sendall(line(what="first") + line(**DROP) + line(**DROP | {"count": 4}) + line(what="second"))
        taken = _until(handed, 4)
    assert [e.what for e in taken.events] == ["first", "second"]
    assert [d.count for d in taken.drops] == [3, 4]
    assert taken.complaints == []
    node.listener.close()


def test_a_line_that_is_sent_again_after_a_new_connection_is_taken_once(handed: Handed, scratch: Path) -> None:
    node = Node(scratch / "events.sock")
    for last in ("second", "third"):
        wait_until(lambda: bool(handed.step() and handed.filenos()), "a connection")
        with node.client() as client:
            client.sendall(line(what="first") + line(**DROP) + line(what=last))
            taken = _until(handed, 1 if last == "third" else 3)
        assert [e.what for e in taken.events] == (["third"] if last == "third" else ["first", "second"])
        assert len(taken.drops) == (0 if last == "third" else 1)
        wait_until(lambda: not (handed.step() and handed.filenos()), "the end of the connection")
    node.listener.close()


@patient
@given(st.lists(st.binary(max_size=1), max_size=30), st.integers(1, 5))
def test_of_the_newest_lines_none_is_new_and_no_more_are_remembered(lines: list[bytes], most: int) -> None:
    recent, taken = Recent(most), []
    for each in lines:
        assert recent.is_new(each) == (each not in taken[-most:])
        if each not in taken[-most:]:
            taken.append(each)


PAGE = Path(__file__).resolve().parents[3] / "docs/your-own-stack.md"


def test_the_example_in_the_documentation_hands_over_a_drop(handed: Handed, scratch: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    code = code.replace("/run/nospof/events.sock", str(scratch / "events.sock"))
    began = time.monotonic_ns()
    with subprocess.Popen([sys.executable, "-c", code]):
        taken = _until(handed, 1)
    (drop,) = taken.drops
    assert taken.complaints == []
    assert (drop.node, drop.source, drop.reason, drop.count) == ("n", "lb", "no_backend", 3)
    assert drop.flow == Flow("198.51.100.2", 40000, "203.0.113.20", 7, 17)
    assert began < drop.last_ns < time.monotonic_ns()


def test_a_node_that_writes_without_end_is_left_after_a_while(handed: Handed, scratch: Path) -> None:
    node = Node(scratch / "events.sock")
    wait_until(lambda: bool(handed.step() and handed.filenos()), "a connection")
    ended = threading.Event()
    with node.client() as client:

        def write() -> None:
            with suppress(OSError):
                for turn in itertools.count():
                    client.sendall(b"".join(line(**DROP, detail=f"{turn} {each}") for each in range(500)))
                    if ended.is_set():
                        return

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert len(_until(handed, 1).drops) <= MOST_READS * PIECE / len(line(**DROP)) + 1
        finally:
            ended.set()
            handed.close()
            writer.join()
    node.listener.close()


def test_a_lab_that_cannot_say_where_is_a_complaint_and_no_crash() -> None:
    def gone() -> dict[str, Path]:
        raise RuntimeError("half torn down")

    taken = Handed(gone).step()
    assert taken.events == []
    assert taken.complaints == ["where nodes hand over their events is not known: half torn down"]
