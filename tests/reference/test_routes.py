"""What must hold of the watch over routes: the kernel's answers read right, whatever else is in the datagram."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4.routes import Asker, Way, answer, question

from tests.reference.network import namespaces


def message(kind: int, sequence: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + padded


def route(kind: int) -> bytes:
    return struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 0, 0, kind, 0)


@pytest.mark.parametrize(
    ("datagram", "found"),
    [
        (message(24, 7, route(1)), True),
        (message(24, 7, route(2)), True),
        (message(24, 7, route(6)), False),
        (message(2, 7, struct.pack("=i", -101)), False),
        (message(24, 6, route(1)), None),
        (message(2, 6, bytes(4)) + message(24, 7, route(1)), True),
        (b"", None),
        (struct.pack("=IHHII", 3, 24, 0, 7, 0), None),
        (struct.pack("=IHHII", 999, 24, 0, 7, 0), None),
    ],
)
def test_only_the_answer_to_the_question_counts(datagram: bytes, found: bool | None) -> None:
    assert answer(datagram, 7) is found


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_no_datagram_is_too_strange(datagram: bytes, sequence: int) -> None:
    assert answer(datagram, sequence) in (True, False, None)


def test_a_route_that_was_away_for_long_is_no_flap() -> None:
    lost = Way(True).after(False, 5_000_000_000)
    assert lost.after(False, 9_000_000_000) is lost
    back = lost.after(True, 5_900_000_000)
    assert back.routed
    assert back.was_a_flap(5_900_000_000)
    assert not lost.after(True, 6_000_000_000).was_a_flap(6_000_000_000)


def test_a_question_is_one_whole_message() -> None:
    asked = question(IPv4Address("10.2.4.1"), 9)
    assert struct.unpack_from("=I", asked)[0] == len(asked) == 36
    assert asked.endswith(bytes([10, 2, 4, 1]))


def test_the_kernel_knows_ways_and_where_there_is_none() -> None:
    with namespaces("one") as network:
        network.ip(
            "one",
            "link set lo up",
            "link add eth1 type veth peer name eth2",
            "link set eth1 up",
            "link set eth2 up",
            "address add 10.0.0.1/30 dev eth1",
            "route add 10.2.4.1 via 10.0.0.2",
            "route add blackhole 10.2.4.2",
            "route add unreachable 10.2.4.3",
        )
        with network.entered("one"):
            asker = Asker()
            try:
                found = [asker.routed(IPv4Address(f"10.2.4.{n}")) for n in (1, 2, 3, 4)]
                assert asker.routed(IPv4Address("10.0.0.1"))
            finally:
                asker.close()
        assert found == [True, False, False, False]
