"""Records, reasons and symbols: what the kernel says is told as it was said."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.drops.kernel import drop_of
from probes.drops.reasons import COPIES, WORDS, Reasons, in_words, is_loss
from probes.drops.record import FiveTuple, Record, Segment, parse
from probes.drops.symbols import Symbols
from topologies.linux.btf import KernelTypes

U64, U32, U16, U8 = (st.integers(0, 2**bits - 1) for bits in (64, 32, 16, 8))
addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).filter(lambda a: a.packed[4:] != bytes(12)).map(str),
)
flows = st.builds(FiveTuple, addresses, U16, addresses, U16, st.sampled_from([1, 6, 17, 58]))


@st.composite
def records(draw: st.DrawFn) -> Record:
    flow = draw(flows)
    probe, seq = draw(st.one_of(st.just((None, None)), st.tuples(U32, U64)))
    segment = draw(st.builds(Segment, U32, U32, U8)) if flow.protocol == 6 else None
    return Record(
        draw(U64), draw(U32), draw(U32), draw(U32), draw(U64), flow, draw(U8), draw(st.booleans()), probe, seq, segment
    )


def _raw(record: Record) -> bytes:
    flow, segment = record.flow, record.segment or Segment(0, 0, 0)
    flags = (record.probe is not None) | (not record.carrier) << 1
    return struct.pack(
        "=QQQIIIIII16s16s4sBBBB",
        record.t_ns,
        record.location,
        record.seq or 0,
        record.probe or 0,
        record.namespace,
        record.index,
        record.reason,
        segment.sequence,
        segment.acknowledged,
        ipaddress.ip_address(flow.src).packed,
        ipaddress.ip_address(flow.dst).packed,
        struct.pack("!HH", flow.sport, flow.dport),
        flow.protocol,
        flags,
        segment.flags,
        record.ttl,
    )


@given(records())
def test_a_record_says_what_was_written(record: Record) -> None:
    assert parse(_raw(record)) == record


@given(records(), st.data())
def test_a_record_that_is_not_whole_is_refused(record: Record, data: st.DataObject) -> None:
    raw = _raw(record)
    with pytest.raises(ValueError, match="bytes"):
        parse(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(U32)
def test_a_syn_and_its_answer_are_of_one_attempt_and_other_segments_of_none(number: int) -> None:
    assert Segment(number, 0, 0x02).attempt == number
    assert Segment(77, (number + 1) % 2**32, 0x12).attempt == number
    assert Segment(number, number, 0x18).attempt is None


NAMES = st.dictionaries(st.from_regex(r"SKB_DROP_REASON_[A-Z0-9_]{1,20}", fullmatch=True), st.integers(0, 0xFFFF))
SUBSYSTEMS = st.dictionaries(st.from_regex(r"SKB_DROP_REASON_SUBSYS_[A-Z]{1,9}", fullmatch=True), st.integers(0, 9))


@given(NAMES, SUBSYSTEMS, U32)
def test_every_number_has_a_name_and_known_ones_their_own(
    names: dict[str, int], subsystems: dict[str, int], number: int
) -> None:
    reasons = Reasons.of(names, subsystems)
    for name, value in names.items():
        assert list(names.values()).count(value) > 1 or "SKB_DROP_REASON_" + reasons.name(value) == name
    said = reasons.name(number)
    if number > 0xFFFF:
        assert said.rpartition("_")[2] == str(number & 0xFFFF)
    assert said
    assert in_words(said)


def test_a_subsystems_reason_bears_its_name() -> None:
    reasons = Reasons.of({}, {"SKB_DROP_REASON_SUBSYS_CORE": 0, "SKB_DROP_REASON_SUBSYS_OPENVSWITCH": 2})
    assert [reasons.name(n) for n in (7, 2 << 16 | 3, 5 << 16 | 1)] == ["REASON_7", "OPENVSWITCH_3", "SUBSYS_5_1"]


def test_the_running_kernels_reasons() -> None:
    with KernelTypes() as types:
        reasons = Reasons.of(types.enum("skb_drop_reason"), types.enum("skb_drop_reason_subsys"))
        assert types.enum("no_such_enum") == {}
        assert types.tracepoint_arguments("no_such_tracepoint") is None
        assert types.tracepoint_arguments("netif_receive_skb") == 1
    assert {"NO_SOCKET", "NETFILTER_DROP", "NOT_SPECIFIED", "SOCKET_RCVBUFF"} <= {*reasons.names.values()}


@pytest.mark.parametrize(
    ("reason", "where", "ttl", "carrier", "words"),
    [
        ("IP_INHDR", "ip_forward", 1, True, "TTL exceeded"),
        ("IP_INHDR", "ip_rcv_core", 64, True, "bad IP header"),
        ("NOT_SPECIFIED", "ip_error", 64, True, "route refuses it"),
        ("NOT_SPECIFIED", "some_function", 64, True, "dropped in some_function"),
        ("NOT_SPECIFIED", "", 64, True, "not specified"),
        ("QDISC_DROP", "__dev_queue_xmit", 64, True, "queue dropped it"),
        ("QDISC_DROP", "__dev_queue_xmit", 64, False, "link without carrier"),
        ("NEIGH_FAILED", "neigh_invalidate", 64, False, "link without carrier"),
        ("NOT_SPECIFIED", "neigh_invalidate", 64, False, "link without carrier"),
        ("NOT_SPECIFIED", "neigh_invalidate", 64, True, "neighbour does not answer"),
        ("IP_INNOROUTES", "ip_error", 64, False, "no route"),
        ("TCP_OFO_DROP", "tcp_data_queue", 64, True, "tcp ofo drop"),
    ],
)
def test_words(reason: str, where: str, ttl: int, carrier: bool, words: str) -> None:
    assert in_words(reason, where, ttl, carrier=carrier) == words


def test_words_are_for_reasons_of_the_running_kernel_or_of_counters() -> None:
    with KernelTypes() as types:
        names = {*Reasons.of(types.enum("skb_drop_reason"), {}).names.values()}
    if "IP_INNOROUTES" not in names:
        pytest.skip("kernels before 6.14 have fewer reasons")
    ours = {"TC_FILTER", "RX_ERRORS", "TX_ERRORS", "RX_DROPPED", "TX_DROPPED", "SOCKET_SNDBUFF"}
    assert {*WORDS} - ours <= names, "a word for a reason that was renamed is of no use"


functions = st.dictionaries(st.integers(1, 2**64 - 1), st.from_regex(r"[a-z_]{1,12}", fullmatch=True), min_size=1)


@given(functions, U64)
def test_an_address_belongs_to_the_function_that_begins_last_before_it(found: dict[int, str], address: int) -> None:
    text = "".join(f"{start:016x} {'tT'[start % 2]} {name}\n" for start, name in found.items())
    text += "".join(f"{(start + 1) % 2**64:016x} d a_variable\n" for start in found)
    symbols = Symbols.of(text)
    before = [start for start in found if start <= address]
    assert symbols.function(address) == (found[max(before)] if before else "")


def test_suffixes_of_compilers_and_hidden_addresses() -> None:
    assert Symbols.of("ffffffff81000000 t ip_rcv.part.0\t[ip]\n").function(2**64 - 1) == "ip_rcv"
    assert Symbols.of("0000000000000000 t ip_rcv\n").function(2**64 - 1) == ""


@given(records(), st.sampled_from([*sorted(COPIES), "ip_forward"]))
def test_a_copy_for_whoever_listens_in_is_no_drop(record: Record, where: str) -> None:
    symbols = Symbols.of(f"{1:016x} t {where}\n")
    record = parse(_raw(record)[:8] + struct.pack("=Q", 5) + _raw(record)[16:])
    drop = drop_of(record, "r", "eth1", Reasons.of({}, {}), symbols)
    assert (drop is None) == (where in COPIES)
    if drop is not None:
        assert (drop.node, drop.where, drop.flow, drop.seq) == ("r", where, record.flow, record.seq)


@pytest.mark.parametrize(
    ("reason", "where", "loss"),
    [
        ("TCP_OLD_DATA", "tcp_rcv_established", False),
        ("NOT_SPECIFIED", "tcp_v4_rcv", False),
        ("NOT_SPECIFIED", "packet_rcv", False),
        ("NO_SOCKET", "tcp_v4_rcv", True),
        ("NOT_SPECIFIED", "", True),
        ("TCP_FLAGS", "tcp_v6_do_rcv", True),
    ],
)
def test_what_its_receiver_was_done_with_is_no_loss(reason: str, where: str, loss: bool) -> None:
    assert is_loss(reason, where) == loss
