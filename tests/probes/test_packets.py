"""Flows and their templates: what is planned is what goes into the plan file, in both families."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from probes import layout
from probes.packets import plan_flows, template

MS = 1_000_000


def test_phases_are_spread_evenly_over_one_interval() -> None:
    flows = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 50, 10 * MS)
    assert sorted({f.phase_ns for f in flows}) == [i * MS for i in range(10)]
    assert set(Counter(f.phase_ns for f in flows).values()) == {5}
    finer = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 50, 10 * MS, most_phases=20)
    assert sorted({f.phase_ns for f in finer}) == [i * MS // 2 for i in range(20)]
    few = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 8, 10 * MS)
    assert [f.phase_ns for f in few] == [i * 10 * MS // 8 for i in range(8)]
    assert max(f.phase_ns for f in flows) < 10 * MS
    fast = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 10, MS)
    assert [f.phase_ns for f in fast] == [0] * 5 + [MS // 2] * 5, "wake-ups are half a millisecond apart at least"
    fastest = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 3, MS // 10)
    assert {f.phase_ns for f in fastest} == {0}


def test_flows_have_distinct_source_ports_and_ids() -> None:
    flows = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 50, 10 * MS, first_id=100, base_port=30000)
    assert [f.id for f in flows] == list(range(100, 150))
    assert [f.sport for f in flows] == list(range(30000, 30050))


@pytest.mark.parametrize(
    ("src", "vip", "count", "interval", "base_port"),
    [
        ("10.0.0.1", "10.0.0.2", 0, 10 * MS, 20000),
        ("10.0.0.1", "10.0.0.2", 50, 49, 20000),
        ("10.0.0.1", "10.0.0.2", 50, 10 * MS, 65500),
        ("10.0.0.1", "fd00::2", 1, 10 * MS, 20000),
        ("10.0.0.1", "no address", 1, 10 * MS, 20000),
    ],
)
def test_flows_that_cannot_be_probed_are_refused(src: str, vip: str, count: int, interval: int, base_port: int) -> None:
    with pytest.raises(ValueError, match=r".+"):
        plan_flows("c", src, "echo", vip, 7, count, interval, base_port=base_port)


@pytest.mark.parametrize(("src", "vip", "kind"), [("10.0.0.1", "10.0.0.2", IP), ("fd00::1", "fd00::2", IPv6)])
def test_a_template_is_the_whole_packet_of_its_flow(src: str, vip: str, kind: type) -> None:
    (flow,) = plan_flows("c", src, "echo", vip, 7, 1, 10 * MS, first_id=0x01020304)
    packet = kind(bytes(template(flow, tos=0x28, ttl=9)))
    assert (packet.src, packet.dst, packet[UDP].sport, packet[UDP].dport) == (src, vip, 20000, 7)
    body = bytes(packet[UDP].payload)
    assert len(body) == 64
    assert body[:8] == b"NSPF\x01\x02\x03\x04"


def test_the_plan_file_is_read_off_the_templates() -> None:
    (flow,) = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 1, 10 * MS, first_id=5)
    raw = layout.pack_plan([(flow.id, template(flow, tos=0x28, ttl=9), 1, flow.interval_ns, 3)], 128)
    head = np.frombuffer(raw, layout.PLAN_HEADER, 1)[0]
    row = np.frombuffer(raw, layout.PLAN_FLOW, 1, layout.PLAN_HEADER.itemsize)[0]
    assert (head["magic"], head["flow_count"], head["capacity"]) == (layout.PLAN_MAGIC, 1, 128)
    assert (row["id"], row["sport"], row["dport"], row["tos"], row["ttl"]) == (5, 20000, 7, 0x28, 9)
    assert bytes(row["src"][:4]) == bytes([10, 0, 0, 1])
    assert (row["interval_ns"], row["phase_ns"]) == (10 * MS, 3)
