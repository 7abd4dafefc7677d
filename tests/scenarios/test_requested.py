"""Which new requests a vantage makes."""

from __future__ import annotations

from scenarios.requested import requested
from scenarios.schedule import Reached
from topologies.services import Service

WEB = Service("web", ("203.0.113.10", "2001:db8:f::10"), 80, "http")
NAMED = Service("api", ("203.0.113.11",), 80, "http", identity="x-name")
REACHED = [
    Reached(WEB, WEB.vip[0], "10.0.0.1"),
    Reached(WEB, WEB.vip[1], "2001:db8::1"),
    Reached(NAMED, NAMED.vip[0], "10.0.0.1"),
]


def test_a_backend_s_name_is_asked_for_where_answers_bore_one() -> None:
    """A stack whose answers name nobody is judged by whether it answers."""
    assert [one.identity for one in requested("c", 0, REACHED)] == ["x-backend", "x-backend", "x-name"]
    nameless = {("web", WEB.vip[1]), ("api", NAMED.vip[0])}
    assert [one.identity for one in requested("c", 0, REACHED, nameless)] == ["x-backend", None, None]
