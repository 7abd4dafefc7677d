"""What ended a connection counts alike in report and verdict; these tests know records of connections and no page."""

from __future__ import annotations

from typing import Any

import pytest

from reports.charts.clock import end_of
from reports.evidence.schema import Connection
from reports.held import broke_in, ended_by_vantage, is_broken, is_closed

EVENT = 100


def connection(**more: Any) -> Connection:
    given = {"src": "a", "sport": 1, "dst": "b", "dport": 80, "opened_ns": 1, "touched": True, "heartbeats": 1}
    return Connection(**{"vantage": "eu", "id": 0, **given, **more})


def test_a_close_that_nothing_announced_is_broken_and_has_a_word() -> None:
    silent = connection(broken_by="closed", broken_ns=150, phase="fault", use="idle")
    announced = connection(closed_ns=150)
    assert (is_broken(silent), is_closed(silent)) == (True, False)
    assert (is_broken(announced), is_closed(announced)) == (False, True)
    assert end_of(silent) == ("⊘", "closed without notice")
    assert end_of(announced) == ("∎", "closed by the protocol")
    assert end_of(connection()) == ("", "")
    busy, idle = ended_by_vantage([silent, announced], EVENT)
    assert (busy.use, busy.broken, busy.closed) == ("busy", 0, 1)
    assert (idle.use, idle.unannounced, idle.broken, idle.closed) == ("idle", 1, 1, 0)


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({"phase": "fault"}, True),
        ({"phase": None}, True),
        ({"phase": "recovery"}, False),
        ({"phase": "control"}, False),
        ({"phase": "fault", "opened_ns": EVENT + 1}, False),
    ],
)
def test_only_what_was_there_at_the_event_and_broke_until_the_heal_counts(more: dict[str, Any], counts: bool) -> None:
    one = connection(broken_by="reset", broken_ns=150, **more)
    assert bool(broke_in([one], "fault", EVENT)) == counts


def test_a_vantage_where_nothing_happened_is_one_line_that_says_how_its_connections_were_held() -> None:
    calm = [connection(id=n, touched=False, use=use) for n, use in enumerate(("busy", "busy", "idle", "stream"))]
    (line,) = ended_by_vantage(calm, EVENT)
    assert (line.use, line.uses, line.connections) == (None, "2 busy, 1 idle, 1 streaming", 4)
    assert len(ended_by_vantage([*calm, connection(id=9)], EVENT)) == 3
