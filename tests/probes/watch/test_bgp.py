"""BGP messages are read as the RFCs draw them; what contradicts its own lengths is refused, and nothing else is raised."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.bgp import BGPHeader, BGPNLRI_IPv4, BGPUpdate

from probes.watch import bgp
from tests.probes.watch import made
from tests.probes.watch.made import patient

V4 = st.builds(
    lambda raw, length: str(IPv4Network((raw, length), strict=False)), st.integers(0, 2**32 - 1), st.integers(0, 32)
)
V6 = st.builds(
    lambda raw, length: str(IPv6Network((raw, length), strict=False)), st.integers(0, 2**128 - 1), st.integers(0, 128)
)
# What FRR 10.3 sent over an unnumbered session: two VIPs with an IPv6 next hop (RFC 8950) in a drain, their withdrawal,
# and the end of a session after BFD had found the neighbour silent (a hard reset, RFC 8538).
ANNOUNCE = bytes.fromhex(
    "ffffffffffffffffffffffffffffffff 0066 02 0000 004f"
    "900e002f 0001 01 20 fe80000000000000d89ec6fffe725e63 fe80000000000000d89ec6fffe725e63 00 20cb00710a 20cb007114"
    "40010100 50020006 02010000fe4f 800404 00000000 c00804 ffff0000"
)
WITHDRAW = bytes.fromhex("ffffffffffffffffffffffffffffffff 0028 02 0000 0011 900f000d 0001 01 20cb00710a 20cb007114")
HARD_RESET = bytes.fromhex("ffffffffffffffffffffffffffffffff 0017 03 0609 060a")
VIPS = "203.0.113.10/32", "203.0.113.20/32"


def test_an_ipv4_prefix_behind_an_ipv6_next_hop_and_its_withdrawal() -> None:
    assert bgp.parse(ANNOUNCE) == bgp.Update(
        announced=VIPS,
        next_hop="fe80::d89e:c6ff:fe72:5e63",
        as_path=(65103,),
        communities=("65535:0",),
    )
    assert bgp.parse(WITHDRAW) == bgp.Update(withdrawn=VIPS)
    assert bgp.parse(HARD_RESET) == bgp.Notification(6, 10, hard=True)


def test_open_notification_and_the_quiet_ones() -> None:
    capability = bytes((65, 4)) + struct.pack("!I", 4200000001)
    parameters = bytes((2, len(capability))) + capability
    body = struct.pack("!BHH4sB", 4, 23456, 9, bytes((10, 1, 2, 1)), len(parameters)) + parameters
    assert bgp.parse(made.message(1, body)) == bgp.Open(4200000001, 9, "10.1.2.1")
    assert bgp.parse(made.NOTIFICATION) == bgp.Notification(6, 10)
    assert bgp.Notification(6, 10).reason == "cease: BFD down"
    assert bgp.Notification(4, 0).reason == "hold timer expired"
    assert bgp.Notification(99, 7).reason == "error 99, subcode 7"
    assert bgp.parse(made.KEEPALIVE) == bgp.Other(bgp.KEEPALIVE)
    end_of_rib = bgp.parse(made.unreach(2))
    assert isinstance(end_of_rib, bgp.Update)
    assert end_of_rib.end_of_rib


@patient
@given(st.lists(V4, unique=True, max_size=20), st.lists(V4, unique=True, max_size=20))
def test_it_reads_what_scapy_wrote(withdrawn: list[str], announced: list[str]) -> None:
    written = BGPHeader(type=2) / BGPUpdate(
        withdrawn_routes=[BGPNLRI_IPv4(prefix=p) for p in withdrawn],
        path_attr=[],
        nlri=[BGPNLRI_IPv4(prefix=p) for p in announced],
    )
    read = bgp.parse(bytes(written))
    assert isinstance(read, bgp.Update)
    assert (read.withdrawn, read.announced) == (tuple(withdrawn), tuple(announced))


@patient
@given(st.lists(V6, unique=True, min_size=1, max_size=20), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9))
def test_ipv6_goes_by_its_own_attributes(prefixes: list[str], path: list[int]) -> None:
    assert bgp.parse(made.unreach(2, *prefixes)) == bgp.Update(withdrawn=tuple(prefixes))
    reached = bgp.parse(made.reach(2, *prefixes, hop="2001:db8::1", path=tuple(path)))
    assert reached == bgp.Update(announced=tuple(prefixes), next_hop="2001:db8::1", as_path=tuple(path))


def test_path_identifiers_are_found_by_the_only_reading_that_makes_sense() -> None:
    plain, numbered = ("203.0.113.10/32", "203.0.113.20/32"), made.nlri("203.0.113.10/32", "203.0.113.20/32", path_id=1)
    assert bgp.prefixes(made.nlri(*plain), 1) == list(plain)
    assert bgp.prefixes(numbered, 1) == list(plain)
    with pytest.raises(ValueError, match="make no sense"):
        bgp.prefixes(b"\x21\x01\x02", 1)


@patient
@given(st.binary(max_size=80), st.integers(0, 255))
def test_any_body_is_read_or_refused(body: bytes, kind: int) -> None:
    with contextlib.suppress(ValueError):
        bgp.parse(made.message(kind, body))


@patient
@given(st.sampled_from([ANNOUNCE, WITHDRAW]), st.integers(19, 90), st.integers(0, 255))
def test_a_message_with_one_wrong_byte_is_read_or_refused(message: bytes, at: int, value: int) -> None:
    at = min(at, len(message) - 1)
    with contextlib.suppress(ValueError):
        bgp.parse(message[:at] + bytes([value]) + message[at + 1 :])
