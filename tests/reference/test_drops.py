"""What must hold of drops that are remembered and told: each packet once, by its reason, its flow and its time."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from l4.counters import REASONS
from l4.dataplane import DataPlane
from node import drop_maps
from node.drop_maps import Teller
from node.drops import MOST_FLOWS, Dropped, line, merged, worth_telling
from node.events import Events
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop

from probes.attribution.reasons import Cause
from reports.evidence.handed import Drop, Flow, decode
from tests.reference.attributed import put_down
from tests.reference.conftest import ROOT
from tests.reference.test_balance import BOTH, DROP, ETHER, REDIRECT, serve, tcp, udp

CLIENT, CLIENT6 = "198.51.100.7", "2001:db8:9::7"
WEB, ECHO6 = "203.0.113.10", "2001:db8:f::20"
ROUTER = "192.0.2.1"


class Told:
    """A teller, and what it tells, decoded as the harness does."""

    def __init__(self, plane: DataPlane) -> None:
        self._teller = Teller(plane.drop_maps(), Events("l4"), REASONS)
        self.look()

    def look(self) -> list[Drop]:
        """One turn's."""
        lines = [line("l4", REASONS, drop, time.monotonic_ns()) for drop in self._teller.look()]
        found = [decode(each) for each in lines]
        assert all(isinstance(each, Drop) for each in found)
        return found  # type: ignore[return-value]

    def all(self) -> list[Drop]:
        """Of two turns: in the first the table is put aside, in the second it is read."""
        return self.look() + self.look()


@pytest.fixture
def told(plane: DataPlane) -> Told:
    serve(plane, BOTH)
    return Told(plane)


def v4(sport: int, dport: int, protocol: int = 6, src: str = CLIENT) -> Flow:
    return Flow(src, sport, WEB, dport, protocol)


def v6(sport: int, dport: int, protocol: int = 17) -> Flow:
    return Flow(CLIENT6, sport, ECHO6, dport, protocol)


def ip(**fields: Any) -> Any:
    return ETHER / IP(src=CLIENT, dst=WEB, **fields)


def ip6(**fields: Any) -> Any:
    return ETHER / IPv6(src=CLIENT6, dst=ECHO6, **fields)


QUOTED = IP(src=WEB, dst=CLIENT, options=[IPOption_Router_Alert()]) / TCP(sport=80, dport=4000)


@pytest.mark.parametrize(
    ("frame", "reason", "flow"),
    [
        (ip() / TCP(sport=4000, dport=81), "not_served", v4(4000, 81)),
        (ip(proto=47) / bytes(20), "not_served", v4(0, 0, 47)),
        (ip6() / UDP(sport=4000, dport=8), "not_served", v6(4000, 8)),
        (ip() / ICMP(type=13, id=9), "not_served", v4(0, 0, 1)),
        (ip(flags="MF") / TCP(sport=4000, dport=80), "fragment", v4(4000, 80)),
        (ip(frag=64, proto=6) / bytes(20), "fragment", v4(0, 0)),
        (ip6() / IPv6ExtHdrFragment(m=1, id=7) / UDP(sport=4000, dport=7), "fragment", v6(4000, 7)),
        (ip6() / IPv6ExtHdrFragment(offset=9, nh=17, id=7) / bytes(20), "fragment", v6(0, 0)),
        (ip(options=[IPOption_Router_Alert()]) / TCP(sport=4000, dport=80), "options", v4(4000, 80)),
        (ETHER / IP(src=ROUTER, dst=WEB) / ICMP(type=3, code=4) / QUOTED, "options", v4(0, 0, 1, ROUTER)),
        (ip6() / IPv6ExtHdrHopByHop() / UDP(sport=4000, dport=7), "extension", v6(4000, 7)),
        (ip6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=4000, dport=7), "extension", v6(4000, 7)),
        (ip6(nh=60) / b"\x11", "extension", v6(0, 0, 60)),
        (ip(len=2000) / TCP(sport=4000, dport=80), "malformed", v4(4000, 80)),
        (ip(proto=6) / b"\0\1", "malformed", v4(0, 0)),
        (ip6(plen=600) / UDP(sport=4000, dport=7), "malformed", v6(4000, 7)),
        (ip() / TCP(sport=4000, dport=80) / bytes(1500), "too_big", v4(4000, 80)),
        (ip6() / UDP(sport=4000, dport=7) / bytes(1500), "too_big", v6(4000, 7)),
    ],
)
def test_what_is_dropped_is_told_once_with_its_reason_flow_count_and_time(
    plane: DataPlane, told: Told, frame: Any, reason: str, flow: Flow
) -> None:
    _dropped_and_told(plane, told, bytes(frame), reason, flow)


def _dropped_and_told(plane: DataPlane, told: Told, frame: bytes, reason: str, flow: Flow) -> None:
    before = time.monotonic_ns()
    for _ in range(3):
        assert plane.program.test_run(frame).verdict == DROP
    after = time.monotonic_ns()
    (drop,) = told.all()
    assert (drop.source, drop.reason, drop.flow, drop.count) == ("l4", reason, flow, 3)
    assert before <= drop.first_ns < drop.last_ns <= after <= drop.t_ns
    assert plane.counters()[f"drop_{reason}"] == 3
    assert told.all() == [], "told once"
    assert put_down(drop, "l4-1") in (Cause("l4-1", reason, "handed"), None)


@pytest.mark.parametrize(
    ("frame", "flow"),
    [
        (ip() / TCP(sport=4000, dport=80), v4(4000, 80)),
        (ip6() / UDP(sport=4000, dport=7), v6(4000, 7)),
        (ip() / ICMP(type=8, id=77), v4(77, 0, 1)),
        (ip6() / ICMPv6EchoRequest(id=77), v6(77, 0, 58)),
        (
            ETHER
            / IP(src=ROUTER, dst=WEB)
            / ICMP(type=3, code=4)
            / IP(src=WEB, dst=CLIENT)
            / TCP(sport=80, dport=4000),
            v4(0, 0, 1, ROUTER),
        ),
    ],
)
def test_a_service_without_backends_tells_whom_it_turned_away(
    plane: DataPlane, told: Told, frame: Any, flow: Flow
) -> None:
    serve(plane, frozenset())
    _dropped_and_told(plane, told, bytes(frame), "no_backend", flow)


def test_a_backend_without_a_route_tells_whom_it_cost(plane: DataPlane, told: Told) -> None:
    subprocess.run(["ip", "route", "del", "10.2.4.0/24"], check=True)
    _dropped_and_told(plane, told, tcp(4000, source=CLIENT), "no_route", v4(4000, 80))


def test_every_reason_has_a_test() -> None:
    tried = {mark.args[1][at][1] for mark in _marks() for at in range(len(mark.args[1]))}
    assert tried | {"no_backend", "no_route"} == set(REASONS)


@pytest.mark.parametrize("reason", sorted(set(REASONS) - {"no_backend", "no_route"}))
def test_of_every_reason_a_lost_probes_death_is_put_down_to_it(plane: DataPlane, told: Told, reason: str) -> None:
    frames = [case[0] for mark in _marks() for case in mark.args[1] if case[1] == reason]
    for frame in frames:
        plane.program.test_run(bytes(frame))
    found = [put_down(drop, "l4-1") for drop in told.all()]
    assert {cause for cause in found if cause} == {Cause("l4-1", reason, "handed")}


def _marks() -> list[Any]:
    marks: list[Any] = test_what_is_dropped_is_told_once_with_its_reason_flow_count_and_time.pytestmark  # type: ignore[attr-defined]
    return [mark for mark in marks if mark.name == "parametrize"]


def test_what_is_forwarded_or_passed_is_not_told(plane: DataPlane, told: Told) -> None:
    for port in range(1000, 1100):
        assert plane.program.test_run(udp(port)).verdict == REDIRECT
    plane.program.test_run(bytes(ETHER / IP(dst="10.2.3.1") / TCP(dport=179)))
    assert told.all() == []
    assert plane.drop_maps().total() == 0


def test_one_flow_dropped_for_two_reasons_is_two_lines(plane: DataPlane, told: Told) -> None:
    plane.program.test_run(tcp(4000, payload=bytes(1500)))
    serve(plane, frozenset())
    plane.program.test_run(tcp(4000))
    assert sorted((drop.reason, drop.count) for drop in told.all()) == [("no_backend", 1), ("too_big", 1)]


def test_a_flood_of_flows_is_bounded_and_still_counted_to_the_last_packet(plane: DataPlane, told: Told) -> None:
    serve(plane, frozenset())
    flows = 2 * drop_maps.FLOWS
    for port in range(1024, 1024 + flows):
        plane.program.test_run(tcp(port))
    for _ in range(5):
        plane.program.test_run(tcp(1024))  # a flow of the first that found room
    found = told.all()
    named = [drop for drop in found if drop.flow is not None]
    (rest,) = [drop for drop in found if drop.flow is None]
    assert len(named) == MOST_FLOWS
    assert (named[0].flow, named[0].count) == (v4(1024, 80), 6), "who lost most is named"
    assert rest.count + sum(drop.count for drop in named) == flows + 5 == plane.counters()["drop_no_backend"]
    assert rest.first_ns < rest.last_ns
    plane.program.test_run(tcp(1))
    assert [(drop.flow, drop.count) for drop in told.all()] == [(v4(1, 80), 1)], "after the flood there is room again"


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(st.integers(1, 5), st.just(0)), max_size=40))
def test_no_drop_is_lost_or_told_twice_however_turns_fall(plane: DataPlane, steps: list[int]) -> None:
    serve(plane, frozenset())
    told = Told(plane)
    sent: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for step in [*steps, 0, 0]:
        if step:
            plane.program.test_run(tcp(step))
            sent[step] += 1
            continue
        for drop in told.look():
            assert drop.flow is not None
            seen[drop.flow.sport] += drop.count
    assert seen == sent


def test_a_new_teller_tells_what_the_one_before_it_did_not(plane: DataPlane, told: Told) -> None:
    serve(plane, frozenset())
    plane.program.test_run(tcp(1))
    assert told.look() == []
    plane.program.test_run(tcp(2))
    after = Told.__new__(Told)
    after._teller = Teller(plane.drop_maps(), Events("l4"), REASONS)
    assert sorted(drop.flow.sport for drop in after.all() if drop.flow) == [1, 2]


DROPS = st.builds(
    lambda reason, flow, count, first, length: Dropped(reason, flow, count, first, first + length),
    st.integers(0, 3),
    st.one_of(st.none(), st.binary(min_size=37, max_size=37)),
    st.integers(1, 1000),
    st.integers(1, 1000),
    st.integers(0, 1000),
)


@given(st.lists(DROPS, max_size=30), st.integers(0, 10))
def test_a_turn_names_at_most_so_many_flows_and_leaves_nothing_out(drops: list[Dropped], most: int) -> None:
    found = worth_telling(drops, most)
    named = [drop for drop in found if drop.flow is not None]
    nameless = [drop for drop in found if drop.flow is None]
    given_named = [drop for drop in drops if drop.flow is not None]
    assert len(named) == min(most, len(given_named))
    assert len({drop.reason for drop in nameless}) == len(nameless)
    for reason in range(4):
        mine = [drop for drop in drops if drop.reason == reason]
        told = [drop for drop in found if drop.reason == reason]
        assert sum(drop.count for drop in told) == sum(drop.count for drop in mine)
        if mine:
            assert min(d.first_ns for d in told) == min(d.first_ns for d in mine)
            assert max(d.last_ns for d in told) == max(d.last_ns for d in mine)
    assert all(drop in drops for drop in named)
    assert not named or min(d.count for d in named) >= max((d.count for d in given_named if d not in named), default=0)


@given(DROPS)
def test_every_drop_is_a_line_of_the_published_format(drop: Dropped) -> None:
    read = decode(line("l4", REASONS, drop, 5000))
    assert isinstance(read, Drop)
    assert (read.reason, read.count) == (REASONS[drop.reason], drop.count)
    assert (read.first_ns, read.last_ns) == (drop.first_ns, drop.last_ns)
    if drop.flow is None:
        assert read.flow is None
    else:
        assert read.flow is not None
        assert read.flow.sport == int.from_bytes(drop.flow[32:34], "big")
        assert read.flow.protocol == drop.flow[36]


def test_of_one_drop_merging_changes_only_that_it_has_no_flow() -> None:
    drop = Dropped(2, bytes(37), 5, 10, 20)
    assert merged([drop]) == [replace(drop, flow=None)]


def test_the_agent_knows_the_tables_as_the_program_has_them() -> None:
    header = (ROOT / "probes/reference/bpf/drops.h").read_text()
    sizes = dict(re.findall(r"#define (DROP_FLOWS|DROP_REASONS) (\d+)", header))
    assert sizes == {"DROP_FLOWS": str(drop_maps.FLOWS), "DROP_REASONS": str(drop_maps.REASONS)}
    assert len(REASONS) <= drop_maps.REASONS
