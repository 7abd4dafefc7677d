"""Plans of new requests: phases apart, source ports of their own, and no word for what cannot be asked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.connections import Security
from probes.packets import BASE_PORT as OF_PROBES
from probes.packets import plan_flows
from probes.requests import layout
from probes.requests.plan import (
    BASE_PORT,
    END_PORT,
    INTERVAL_NS,
    MOST_WORDS_BYTES,
    PORTS,
    RequestSeries,
    scheduled,
)

MS = 1_000_000
WEB = RequestSeries(0, "us-client", "web", "10.0.0.2", "203.0.113.10", 80, "web.test")


def test_phases_are_spread_over_an_interval() -> None:
    many = scheduled(replace(WEB, id=i, dport=80 + i) for i in range(4))
    assert [s.phase_ns for s in many] == [0, INTERVAL_NS // 4, INTERVAL_NS // 2, 3 * INTERVAL_NS // 4]
    assert [s.id for s in many] == [0, 1, 2, 3]


def test_series_have_ports_of_their_own_as_long_as_there_are_some_and_then_share_with_another_place() -> None:
    many = scheduled(replace(WEB, id=i, dport=80 + i) for i in range(7))
    assert len({s.base_port for s in many[:3]}) == 3
    for one in many:
        assert one.base_port >= BASE_PORT
        assert one.base_port + one.ports <= END_PORT
    for one, other in itertools.combinations(many[:3], 2):
        assert abs(one.base_port - other.base_port) >= PORTS


def test_two_series_to_one_place_never_share_a_port() -> None:
    with pytest.raises(ValueError, match=r"series 0 and 3 go from 10\.0\.0\.2 to 203\.0\.113\.10 port 80"):
        scheduled(replace(WEB, id=i) for i in range(4))


def test_ports_of_requests_are_none_of_probes_connections_or_linux_own_choice() -> None:
    syns = plan_flows("us", "10.0.0.2", "web", "203.0.113.10", 80, 7, 20 * MS, transport="tcp")
    assert OF_PROBES["tcp"] <= syns[-1].sport + syns[-1].ports <= 24000 < 24000 + 4000 <= BASE_PORT
    assert END_PORT <= 32768


def test_a_port_rests_longer_than_time_wait() -> None:
    assert WEB.ports * WEB.interval_ns > 60_000 * MS


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"interval_ns": 0}, "not a schedule"),
        ({"phase_ns": -1}, "not a schedule"),
        ({"dport": 0}, "ports are 1 to 65535"),
        ({"base_port": 65000}, "ports are 1 to 65535"),
        ({"ports": 20}, "would rest for less than 5 s"),
        ({"src": "2001:db8::1"}, "two families"),
        ({"send": b"PING"}, "by HTTP, which has its own"),
        ({"expect": b"+PONG"}, "by HTTP, which has its own"),
        ({"http": None, "identity": None}, "without HTTP there are bytes to expect"),
        ({"http": None, "expect": b"+PONG"}, "neither a header that names the backend"),
        ({"http": None, "identity": None, "expect": b"+PONG", "tls": Security()}, "nor TLS"),
        ({"http": None, "identity": None, "expect": bytes(MOST_WORDS_BYTES + 1)}, "more than 4096 bytes"),
        ({"http": None, "identity": None, "expect": b"+", "send": bytes(MOST_WORDS_BYTES + 1)}, "more than 4096 bytes"),
    ],
)
def test_what_cannot_be_asked_is_refused(changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(WEB, **changed)  # type: ignore[arg-type]


def test_a_range_larger_than_all_ports_is_refused() -> None:
    with pytest.raises(ValueError, match="series 0 wants 5000 source ports of 4768"):
        scheduled([replace(WEB, ports=5000)])


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web.test", "web.test"),
        ("web.test:8443", "web.test"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_a_certificate_is_made_out_to_the_host_without_its_port(host: str, name: str) -> None:
    assert replace(WEB, host=host).name == name


WORDS = st.binary(max_size=MOST_WORDS_BYTES)


@given(st.lists(st.tuples(WORDS, WORDS.filter(bool)), min_size=1, max_size=3))
def test_any_bytes_are_handed_over_whole_and_their_number_with_them(words: list[tuple[bytes, bytes]]) -> None:
    """Zeros at their end, too, which a text does not keep."""
    asked = [
        replace(WEB, id=i, dport=80 + i, http=None, identity=None, send=send, expect=expect)
        for i, (send, expect) in enumerate(words)
    ]
    raw = layout.pack_plan(scheduled(asked), 512)
    rows = np.frombuffer(raw[layout.PLAN_HEADER.itemsize :], layout.PLAN_SERIES)
    for row, (send, expect) in zip(rows, words, strict=True):
        assert row["http"] == 0
        for name, wanted in (("send", send), ("expect", expect)):
            assert row[name].ljust(MOST_WORDS_BYTES, b"\0")[: row[f"{name}_bytes"]] == wanted
