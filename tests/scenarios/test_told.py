"""What was told of drops finds the flow and the probe that it is of, and no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.drops.kernel import KernelDrop
from probes.drops.record import FiveTuple, Segment
from probes.packets import ProbeFlow, plan_flows
from probes.watch import HandedDrop
from reports.evidence.handed import Flow
from scenarios.told import drops_of

MS = 1_000_000
HERE, THERE = "10.0.0.1", "10.0.1.1"
VIP = "203.0.113.20"
UDP = [
    *plan_flows("one", HERE, "echo", VIP, 7, 3, 10 * MS),
    *plan_flows("two", THERE, "echo", VIP, 7, 3, 10 * MS, first_id=1000),
]
SYNS = [
    *plan_flows("one", HERE, "web", VIP, 80, 2, 20 * MS, transport="tcp", first_id=3),
    *plan_flows("two", THERE, "web", VIP, 80, 1, 20 * MS, transport="tcp", first_id=1003),
]
PINGS = plan_flows("one", HERE, "web", VIP, 0, 2, 10 * MS, transport="icmp", first_id=50)
FLOWS = [*UDP, *SYNS, *PINGS]


def _drop(flow: FiveTuple, probe: int | None, seq: int | None, segment: Segment | None = None) -> KernelDrop:
    return KernelDrop(5, "edge", "eth1", "IP_INNOROUTES", "", flow, 60, True, probe, seq, segment)


@given(st.sampled_from([*UDP, *PINGS]), st.integers(0, 1 << 40))
def test_a_datagram_is_known_by_its_payload(flow: ProbeFlow, seq: int) -> None:
    told = drops_of(FLOWS, [_drop(FiveTuple(flow.src, flow.sport, VIP, 7, 17), flow.id, seq)], ()).told
    assert list(told) == [(flow.vantage, flow.id, seq)]
    assert told[flow.vantage, flow.id, seq][0].node == "edge"


@given(st.sampled_from(SYNS), st.integers(0, (1 << 24) - 1), st.integers(0, 50), st.booleans())
def test_a_syn_and_its_answer_are_known_by_their_numbers(flow: ProbeFlow, seq: int, port: int, answer: bool) -> None:
    number = (flow.id & 0xFF) << 24 | seq
    there = FiveTuple(flow.src, flow.sport + port, VIP, 80, 6)
    back = FiveTuple(VIP, 80, flow.src, flow.sport + port, 6)
    segment = Segment(99, (number + 1) & 0xFFFFFFFF, 0x12) if answer else Segment(number, 0, 0x02)
    told = drops_of(FLOWS, [_drop(back if answer else there, None, None, segment)], ()).told
    assert list(told) == [(flow.vantage, flow.id, seq)]


def test_somebody_elses_packets_are_nobodys_probes() -> None:
    stranger = FiveTuple("10.9.9.9", 2000, VIP, 80, 6)
    none = [
        _drop(stranger, None, None, Segment(3 << 24, 0, 0x02)),
        _drop(FiveTuple(HERE, 2000, VIP, 443, 6), None, None, Segment(3 << 24, 0, 0x02)),
        _drop(FiveTuple(HERE, 20000, VIP, 7, 17), 77, 1),
        _drop(FiveTuple(HERE, 20000, VIP, 7, 17), None, None),
    ]
    assert drops_of(FLOWS, none, ()).told == {}


def test_what_a_node_hands_over_is_told_of_its_flow_or_where_it_names_none_of_all() -> None:
    def handed(flow: Flow | None) -> HandedDrop:
        return HandedDrop("l4", "l4", "no_backend", flow, 3, 10, 20)

    first = drops_of(FLOWS, (), [handed(Flow(HERE, UDP[1].sport, VIP, 7, 17))]).handed
    assert list(first) == [("one", UDP[1].id)]
    syn = drops_of(FLOWS, (), [handed(Flow(HERE, SYNS[0].sport + 30, VIP, 80, 6))]).handed
    assert list(syn) == [("one", SYNS[0].id)]
    ping = drops_of(FLOWS, (), [handed(Flow(HERE, PINGS[1].sport, VIP, 0, 1))]).handed
    assert list(ping) == [("one", PINGS[1].id)]
    assert drops_of(FLOWS, (), [handed(Flow("10.9.9.9", 5, VIP, 7, 17))]).handed == {}
    assert len(drops_of(FLOWS, (), [handed(None)]).handed) == len(FLOWS)
