"""Which new requests a vantage makes: to every service of which it is known what an answer is, and in its language."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.requests.plan import INTERVAL_NS
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


NEW = Service("new", ("203.0.113.12",), 80, "http", http=("2",))
TLS = Service("tls", ("203.0.113.13",), 443, "https", http=("1.1", "2"))
PORT = Service("port", ("203.0.113.14",), 5432, "tcp")
ECHO = Service("echo", ("203.0.113.15",), 7, "udp")
MAIL = Service("mail", ("203.0.113.16", "2001:db8:f::16"), 25, "tcp", expect=b"220 ")
REDIS = Service("redis", ("203.0.113.17",), 6379, "tcp", send=b"PING\r\n", expect=b"+PONG\0")
ALL = [
    Reached(service, vip, "2001:db8::1" if ":" in vip else "10.0.0.1")
    for service in (WEB, NAMED, NEW, TLS, PORT, ECHO, MAIL, REDIS)
    for vip in service.vip
]


def test_a_tcp_service_is_asked_in_its_own_words_and_names_nobody() -> None:
    asked = requested("c", 2, [one for one in ALL if one.service in (PORT, MAIL, REDIS)])
    assert [(one.service, one.dst, one.send, one.expect) for one in asked] == [
        ("mail", MAIL.vip[0], b"", b"220 "),
        ("mail", MAIL.vip[1], b"", b"220 "),
        ("redis", REDIS.vip[0], b"PING\r\n", b"+PONG\0"),
    ]
    assert {(one.http, one.identity, one.tls, one.interval_ns) for one in asked} == {(None, None, None, INTERVAL_NS)}
    assert [one.id for one in asked] == [2000, 2001, 2002]


@given(
    reached=st.lists(st.sampled_from(ALL), unique=True),
    nameless=st.sets(st.sampled_from([(one.service.name, one.vip) for one in ALL])),
)
def test_every_service_that_answers_requests_has_one_series_at_each_address_and_no_other_has_any(
    reached: list[Reached], nameless: set[tuple[str, str]]
) -> None:
    asked = requested("c", 1, reached, nameless)
    wanted = [one for one in reached if one.service.speaks_http or one.service.expect]
    assert [(one.service, one.dst, one.dport) for one in asked] == [
        (one.service.name, one.vip, one.service.port) for one in wanted
    ]
    assert len({one.id for one in asked}) == len(asked)
    for series, one in zip(asked, wanted, strict=True):
        assert (series.http is None) == (one.service.protocol == "tcp")
        assert (series.send, series.expect) == (one.service.send or b"", one.service.expect or b"")
        named = one.service.speaks_http and (one.service.name, one.vip) not in nameless
        assert (series.identity is not None) == named
