"""Which probes a vantage sends: thinning changes how often, and nothing about where they go."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from probes.connections import Security
from scenarios.schedule import (
    FLOWS_PER_SERVICE,
    HEARTBEAT_NS,
    HEARTBEATS_PER_S,
    HEARTBEATS_PER_S_AND_CORE,
    INTERVAL_NS,
    MOST_THINNED,
    PROBES_PER_S_AND_CORE,
    SLOWEST_HEARTBEAT_NS,
    SLOWEST_SYN_INTERVAL_NS,
    SYN_INTERVAL_NS,
    Reached,
    connected_to,
    flows_of,
    heartbeat_ns,
    shortest_idle_ns,
    thinned_at_first,
)
from topologies.services import Service

WEB = Service("web", ("203.0.113.10", "2001:db8:f::10"), 80, "http")
ECHO = Service("echo", ("203.0.113.20", "2001:db8:f::20"), 7, "udp")
TLS = Service("web-tls", WEB.vip, 443, "https", "web.test", "/", "x-name", ("1.1", "2"))
SOURCES = {"4": "10.0.0.1", "6": "2001:db8::1"}


def _reached(*services: Service) -> list[Reached]:
    return [Reached(s, vip, SOURCES["6" if ":" in vip else "4"]) for s in services for vip in s.vip]


def test_every_address_gets_its_share_of_datagrams_and_every_other_one_pings_and_syns() -> None:
    flows = flows_of("client", 0, _reached(WEB, ECHO))
    per = {(f.transport, f.dst) for f in flows}
    assert per == {("udp", vip) for vip in ECHO.vip} | {(t, vip) for t in ("icmp", "tcp") for vip in WEB.vip}
    assert sum(f.transport == "udp" for f in flows) == FLOWS_PER_SERVICE
    assert {f.transport: f.interval_ns for f in flows} == {
        "udp": INTERVAL_NS,
        "icmp": INTERVAL_NS,
        "tcp": SYN_INTERVAL_NS,
    }


def test_an_address_of_two_services_is_pinged_once_and_each_of_them_has_its_syns() -> None:
    flows = flows_of("client", 0, _reached(WEB, TLS, ECHO))
    assert sorted(f.dst for f in flows if f.transport == "icmp") == sorted(WEB.vip)
    assert {(f.dst, f.dport) for f in flows if f.transport == "tcp"} == {(v, p) for v in WEB.vip for p in (80, 443)}
    spans = sorted((f.sport, f.sport + f.ports) for f in flows if f.transport == "tcp")
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), "no two SYNs leave from one port"
    assert len({f.id for f in flows}) == len(flows)


def test_what_answers_no_ping_gets_none_and_keeps_its_syns() -> None:
    flows = flows_of("client", 0, _reached(WEB, TLS, ECHO), no_ping={WEB.vip[0]})
    assert [f.dst for f in flows if f.transport == "icmp"] == [WEB.vip[1]]
    assert {(f.dst, f.dport) for f in flows if f.transport == "tcp"} == {(v, p) for v in WEB.vip for p in (80, 443)}
    assert len({f.id for f in flows}) == len(flows)


def test_connections_go_to_every_address_of_a_service_in_every_version_that_it_speaks() -> None:
    assert connected_to(_reached(WEB, ECHO)) == []  # which says no version
    targets = connected_to(_reached(TLS, ECHO))
    assert [(t.dst, t.http) for t in targets] == [(vip, version) for vip in TLS.vip for version in ("1.1", "2")]
    assert {(t.dport, t.host, t.path, t.identity, t.tls) for t in targets} == {
        (443, "web.test", "/", "x-name", Security(None))
    }


@given(st.integers(1, 2000), st.integers(1, 128))
def test_few_connections_beat_every_second_and_many_no_oftener_than_a_host_carries(count: int, cores: int) -> None:
    found, per_s = heartbeat_ns(count, cores), min(HEARTBEATS_PER_S, HEARTBEATS_PER_S_AND_CORE * cores)
    assert found == HEARTBEAT_NS if count <= per_s else HEARTBEAT_NS < found <= SLOWEST_HEARTBEAT_NS
    assert count * 1e9 / found <= per_s * 1.01 or found == SLOWEST_HEARTBEAT_NS


def test_a_busy_connection_says_something_before_its_service_takes_it_for_idle() -> None:
    assert heartbeat_ns(100, 2) == SLOWEST_HEARTBEAT_NS
    patient, hasty = replace(WEB, idle_ns=60_000_000_000), replace(WEB, idle_ns=2_000_000_000)
    assert heartbeat_ns(100, 2, shortest_idle_ns(_reached(patient))) == SLOWEST_HEARTBEAT_NS
    assert heartbeat_ns(100, 2, shortest_idle_ns(_reached(patient, hasty))) == 1_000_000_000
    assert shortest_idle_ns(_reached(WEB)) is None


@given(number=st.integers(0, 20), thinned=st.integers(1, 8), services=st.sampled_from([(WEB,), (ECHO,), (WEB, ECHO)]))
def test_thinned_flows_have_the_same_ways_and_longer_intervals(
    number: int, thinned: int, services: tuple[Service, ...]
) -> None:
    dense = flows_of("client", number, _reached(*services))
    thin = flows_of("client", number, _reached(*services), thinned)
    assert [(f.id, f.transport, f.src, f.dst, f.dport) for f in thin] == [
        (f.id, f.transport, f.src, f.dst, f.dport) for f in dense
    ]
    slowest = {"tcp": SLOWEST_SYN_INTERVAL_NS}
    assert [f.interval_ns for f in thin] == [
        min(f.interval_ns * thinned, slowest.get(f.transport, 1 << 62)) for f in dense
    ]
    # A SYN has a port of its own each time; a slower schedule needs fewer.
    assert [f.sport for f in thin if f.transport != "tcp"] == [f.sport for f in dense if f.transport != "tcp"]


@given(vantages=st.integers(1, 40), cores=st.integers(1, 64))
def test_a_run_begins_as_densely_as_its_cores_carry_and_no_thinner(vantages: int, cores: int) -> None:
    flows = [f for number in range(vantages) for f in flows_of("v", number, _reached(WEB, ECHO))]
    thinned, per_s = thinned_at_first(flows, cores), sum(1e9 / f.interval_ns for f in flows)
    assert thinned == MOST_THINNED or per_s / thinned <= PROBES_PER_S_AND_CORE * cores
    assert thinned == 1 or per_s / (thinned / 2) > PROBES_PER_S_AND_CORE * cores


def test_the_reference_is_probed_every_40_ms_on_two_cores_every_20_on_four_and_every_10_on_eight() -> None:
    flows = [f for number in range(3) for f in flows_of("v", number, _reached(WEB, TLS, ECHO))]
    assert [thinned_at_first(flows, cores) for cores in (2, 4, 8)] == [4, 2, 1]


@given(numbers=st.lists(st.integers(0, 50), min_size=2, max_size=4, unique=True))
def test_no_two_vantages_have_a_flow_identifier_in_common(numbers: list[int]) -> None:
    ids = [{f.id for f in flows_of("v", number, _reached(WEB, ECHO))} for number in numbers]
    assert len(set().union(*ids)) == sum(map(len, ids))
