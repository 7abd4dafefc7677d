"""Any bytes are read or refused; a route with several next hops of another family is read whole."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.watch import netlink
from probes.watch.netlink import Hop, Route
from tests.probes.watch.made import patient

KINDS = (16, 17, 20, 21, 24, 25, 28, 29, 104, 105, 2, 3)


def attr(kind: int, value: bytes) -> bytes:
    raw = struct.pack("=HH", 4 + len(value), kind) + value
    return raw.ljust((len(raw) + 3) & ~3, b"\0")


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def route(*attributes: bytes, length: int = 32, kind: int = 1, flags: int = 0, table: int = 254) -> bytes:
    head = struct.pack("=BBBBBBBBI", 2, length, 0, 0, table, 186, 0, kind, flags)
    return message(24, head + b"".join(attributes))


def hop(index: int, address: bytes) -> bytes:
    via = attr(18, struct.pack("=H", 10) + address)
    return struct.pack("=HBBi", 8 + len(via), 0, 0, index) + via


VIP = attr(1, bytes((203, 0, 113, 10)))
LL = bytes.fromhex("fe80000000000000"), bytes(7)


def test_an_ipv4_route_over_two_ipv6_next_hops() -> None:
    ways = hop(12, LL[0] + LL[1] + b"\1") + hop(14, LL[0] + LL[1] + b"\2")
    (read,) = netlink.parse(route(VIP, attr(9, ways)))
    hops = (Hop("fe80::1", 12), Hop("fe80::2", 14))
    assert read == Route(False, "203.0.113.10/32", 254, "unicast", "bgp", hops)


def test_other_tables_and_kinds_are_named_and_local_and_cached_ones_left_out() -> None:
    batch = route(VIP, attr(15, struct.pack("=I", 1000)), kind=7) + route(length=0) + route(VIP, table=255)
    batch += route(VIP, flags=0x200) + route(VIP, kind=3)
    assert [(r.prefix, r.table, r.kind) for r in netlink.parse(batch) if isinstance(r, Route)] == [
        ("203.0.113.10/32", 1000, "unreachable"),
        ("0.0.0.0/0", 254, "unicast"),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"\0" * 5,
        message(24, b"")[:-1],
        struct.pack("=IHHII", 400, 24, 0, 0, 0),
        route(struct.pack("=HH", 90, 1)),
        route(attr(1, b"abc")),
        route(attr(9, struct.pack("=HBBi", 60, 0, 0, 3))),
        message(24, b"\2\x20"),
    ],
)
def test_what_contradicts_its_lengths_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="netlink"):
        list(netlink.parse(raw))


@patient
@given(st.sampled_from(KINDS), st.binary(max_size=120))
def test_any_body_is_read_or_refused(kind: int, body: bytes) -> None:
    with contextlib.suppress(ValueError):
        list(netlink.parse(message(kind, body)))


@patient
@given(st.binary(max_size=120))
def test_any_batch_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        list(netlink.parse(raw))


@patient
@given(st.integers(0, 150), st.integers(0, 255))
def test_one_wrong_byte_is_read_or_refused(at: int, value: int) -> None:
    whole = route(VIP, attr(9, hop(12, LL[0] + LL[1] + b"\1") + hop(14, LL[0] + LL[1] + b"\2")))
    at %= len(whole)
    with contextlib.suppress(ValueError):
        list(netlink.parse(whole[:at] + bytes([value]) + whole[at + 1 :]))
