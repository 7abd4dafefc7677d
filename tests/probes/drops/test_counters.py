"""Counters, as the kernel writes them and as they change: no drop invented, none forgotten, none counted twice."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.drops import devices, rules, statistics
from probes.drops.attributes import each
from probes.drops.counter import Counter
from probes.drops.counters import difference

COUNTS = st.integers(0, 2**63)
words = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,12}", fullmatch=True)
tables = st.dictionaries(st.sampled_from(["Ip", "IpExt", "Udp", "Tcp", "TcpExt"]), st.dictionaries(words, COUNTS))


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


@given(tables)
def test_a_table_of_names_and_values(found: dict[str, dict[str, int]]) -> None:
    text = "".join(f"{part}: {' '.join(v)}\n{part}: {' '.join(map(str, v.values()))}\n" for part, v in found.items())
    assert statistics.table(text) == {f"{part}:{k}": v for part, values in found.items() for k, v in values.items()}


def test_a_table_with_a_line_too_few_is_left_out() -> None:
    assert statistics.table("Ip: A B\nIp: 1\nUdp: A\nUdp: 2\nTcp: A\n") == {"Udp:A": 2}
    assert statistics.table("") == {}


@given(st.dictionaries(st.tuples(st.sampled_from(["Ip6", "Icmp6", "Udp6", "UdpLite6"]), words), COUNTS))
def test_pairs_of_name_and_value(found: dict[tuple[str, str], int]) -> None:
    text = "".join(f"{part}{name:<32}\t{value}\n" for (part, name), value in found.items())
    assert statistics.pairs(text) == {f"{part}:{name}": value for (part, name), value in found.items()}
    assert statistics.pairs("Other 3\n") == {}


def test_only_what_means_a_drop_is_counted() -> None:
    found = statistics.counts({"Udp:NoPorts": 3, "Udp:InDatagrams": 9, "Udp:InErrors": 3, "Ip6:InNoRoutes": 0})
    assert found == {
        Counter("stack", "", "NO_SOCKET", "Udp:NoPorts"): 3,
        Counter("stack", "", "IP_INNOROUTES", "Ip6:InNoRoutes"): 0,
    }


@given(st.integers(1, 2**31 - 1), words, st.lists(st.integers(0, 2**64 - 1), min_size=24, max_size=26))
def test_what_a_link_has_counted(index: int, name: str, values: list[int]) -> None:
    stats = struct.pack(f"={len(values)}Q", *values)
    body = struct.pack("=BxHiII", 0, 1, index, 0, 0) + attribute(3, name.encode() + b"\0") + attribute(23, stats)
    found = {c.name: v for c, v in devices.counts([body]).items()}
    assert found["rx_dropped"] == values[6]
    assert found["tx_dropped"] == values[7]
    assert found["rx_errors"] == values[4]
    assert devices.names([body]) == {index: name}
    assert {(c.source, c.place, c.number) for c in devices.counts([body])} == {("device", name, index)}


@pytest.mark.parametrize(("kind", "reason"), [("tbf", "QDISC_DROP"), ("clsact", "TC_FILTER")])
def test_what_a_queue_has_dropped(kind: str, reason: str) -> None:
    queue = attribute(7, attribute(1, bytes(16)) + attribute(3, struct.pack("=5I", 1, 2, 33, 4, 5)))
    body = struct.pack("=BxxxiIII", 0, 3, 0x80010000, 0, 0) + attribute(1, kind.encode() + b"\0") + queue
    counter = Counter("queue", "eth1", reason, kind, 0x80010000)
    assert devices.queue_counts([body], {3: "eth1"}) == {counter: 33}
    assert devices.queue_counts([body], {}) == {counter._replace(place="#3"): 33}


def expression(name: str, data: bytes = b"") -> bytes:
    return attribute(1, attribute(1, name.encode() + b"\0") + attribute(2, data))


def counter_of(packets: int) -> bytes:
    return expression("counter", attribute(1, bytes(8)) + attribute(2, packets.to_bytes(8, "big")))


def verdict(code: int) -> bytes:
    value = attribute(2, attribute(1, struct.pack("!i", code)))
    return expression("immediate", attribute(1, struct.pack("!I", 0)) + attribute(2, value))


DROP, ACCEPT, JUMP = verdict(0), verdict(1), verdict(-3)
OTHER = st.sampled_from([expression("cmp", b"\x01"), expression("meta"), JUMP])


@given(st.lists(OTHER), COUNTS, st.sampled_from([DROP, expression("reject")]))
def test_a_rule_that_counts_and_drops(before: list[bytes], packets: int, how: bytes) -> None:
    body = (
        bytes(4)
        + attribute(1, b"t\0")
        + attribute(2, b"c\0")
        + attribute(3, (7).to_bytes(8, "big"))
        + attribute(4, b"".join(before) + counter_of(packets) + how)
    )
    assert rules.counts([body]) == {Counter("netfilter", "t c", "NETFILTER_DROP", "rule 7", 7): packets}


@pytest.mark.parametrize("expressions", [counter_of(3) + ACCEPT, counter_of(3), DROP, DROP + counter_of(3), b""])
def test_a_rule_that_does_not_drop_or_does_not_count(expressions: bytes) -> None:
    assert rules.counts([bytes(4) + attribute(4, expressions)]) == {}


@given(st.binary(max_size=64))
def test_bytes_that_are_no_message_are_refused_and_nothing_worse(raw: bytes) -> None:
    for reader in (rules.counts, devices.counts, lambda m: devices.queue_counts(m, {}), lambda m: each(m[0])):
        with suppress(ValueError):
            reader([raw])


counters = st.builds(Counter, st.just("stack"), words, words, words, st.integers(0, 3))
readings = st.dictionaries(counters, COUNTS, max_size=8)


@given(readings, readings)
def test_a_difference_tells_what_was_added(before: Mapping[Counter, int], added: Mapping[Counter, int]) -> None:
    after = {c: before.get(c, 0) + added.get(c, 0) for c in {*before, *added}}
    found = difference("r", before, after)
    assert {d.counter: d.count for d in found} == {c: n for c, n in added.items() if n}
    assert [d.count for d in found] == sorted((d.count for d in found), reverse=True)
    assert {d.node for d in found} <= {"r"}
    assert difference("r", after, after) == []


@given(readings, readings)
def test_a_counter_that_began_again_is_never_negative(
    before: Mapping[Counter, int], after: Mapping[Counter, int]
) -> None:
    for drops in difference("r", before, after):
        assert 0 < drops.count <= after[drops.counter]
        assert drops.words
