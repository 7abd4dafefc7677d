"""Templates of every kind, shape, family and size, taken apart again by scapy: what is planned is what would be on the wire."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.quic import QUIC, QUIC_1RTT, QUIC_Initial
from scapy.packet import Packet

from probes import layout, quic
from probes.packets import (
    PAYLOAD_HEAD,
    ProbeFlow,
    Shape,
    Transport,
    least_bytes,
    payload,
    plan_flows,
    template,
)

MS = 1_000_000
FAR = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
KINDS: list[tuple[Transport, Shape]] = [
    ("udp", "plain"),
    ("udp", "quic-long"),
    ("udp", "quic-short"),
    ("tcp", "plain"),
    ("icmp", "plain"),
]


def one(transport: Transport, shape: Shape, family: int, flow_id: int = 5, size: int | None = None) -> ProbeFlow:
    src, dst = FAR[family]
    far = 0 if transport == "icmp" else 443
    (flow,) = plan_flows(
        "c", src, "s", dst, far, 1, 10 * MS, first_id=flow_id, transport=transport, shape=shape, packet_bytes=size
    )
    return flow


@st.composite
def flows(draw: st.DrawFn) -> ProbeFlow:
    transport, shape = draw(st.sampled_from(KINDS))
    family, flow_id = draw(st.sampled_from([4, 6])), draw(st.integers(0, 2**32 - 1))
    flow = one(transport, shape, family, flow_id)
    sizes = st.one_of(st.none(), st.integers(least_bytes(flow), 1500), st.integers(1500, 9500))
    return replace(flow, packet_bytes=draw(sizes))


def taken_apart(flow: ProbeFlow, tos: int, ttl: int) -> tuple[bytes, Packet]:
    raw = bytes(template(flow, tos=tos, ttl=ttl))
    return raw, (IPv6 if flow.family == 6 else IP)(raw)


@given(flows(), st.integers(0, 255), st.integers(1, 255))
def test_every_template_is_a_sound_packet_of_its_flow_and_size(flow: ProbeFlow, tos: int, ttl: int) -> None:
    raw, packet = taken_apart(flow, tos, ttl)
    assert (packet.src, packet.dst) == (flow.src, flow.dst)
    if flow.family == 6:
        assert (packet.tc, packet.hlim, packet.plen) == (tos, ttl, len(raw) - 40)
    else:
        assert (packet.tos, packet.ttl, packet.len, str(packet.flags)) == (tos, ttl, len(raw), "DF")
    if flow.packet_bytes is not None:
        assert len(raw) == flow.packet_bytes
    head = packet[{"udp": UDP, "tcp": TCP, "icmp": ICMPv6EchoRequest if flow.family == 6 else ICMP}[flow.transport]]
    near, far = (head.id, 0) if flow.transport == "icmp" else (head.sport, head.dport)
    assert (near, far) == (flow.sport, flow.dport)
    again = packet.copy()
    for layer in (IP, TCP, UDP, ICMP, ICMPv6EchoRequest):
        if layer in again:
            again[layer].delfieldval("cksum" if layer is ICMPv6EchoRequest else "chksum")
    assert bytes(again) == raw, "a checksum or a length is wrong"


@given(flows())
def test_the_plan_holds_the_packet_and_where_its_parts_are(flow: ProbeFlow) -> None:
    raw, packet = taken_apart(flow, 0, 64)
    plan = layout.pack_plan([(flow.id, template(flow), flow.ports, flow.interval_ns, flow.phase_ns)] * 2, 64)
    rows = np.frombuffer(plan, layout.PLAN_FLOW, 2, layout.PLAN_HEADER.itemsize)
    for row in rows:
        assert plan[int(row["packet_at"]) :][: int(row["packet_bytes"])] == raw
        assert int(row["header_at"]) == (40 if flow.family == 6 else 20)
        body = raw[int(row["payload_at"]) :]
        if flow.transport == "tcp":
            assert int(row["payload_at"]) == int(row["header_at"]) + packet[TCP].dataofs * 4
            assert set(body) <= {0}
        else:
            assert body == payload(flow.id, len(body))
    assert len(plan) == int(rows[1]["packet_at"]) + len(raw)


@given(st.sampled_from(["quic-long", "quic-short"]), st.sampled_from([4, 6]), st.integers(0, 2**32 - 1))
def test_a_quic_like_probe_begins_as_rfc_9000_says(shape: Shape, family: int, flow_id: int) -> None:
    flow = one("udp", shape, family, flow_id)
    _, packet = taken_apart(flow, 0, 64)
    data = bytes(packet[UDP].payload)
    seen = QUIC(data)
    if shape == "quic-short":
        assert QUIC_1RTT in seen
        assert seen.FixedBit == 1
        assert data[1:9] == quic.connection_id(flow_id)
        assert data[quic.head_bytes("short") :][:4] == b"NSPF"
        return
    initial = seen[QUIC_Initial]
    assert (initial.HeaderForm, initial.FixedBit, initial.Version) == (1, 1, 1)
    assert (initial.DstConnID, initial.SrcConnID, initial.Token) == (quic.connection_id(flow_id), b"", b"")
    assert initial.Length == 4 + len(data) - quic.head_bytes("long")
    assert len(data) == quic.LEAST_INITIAL


@pytest.mark.parametrize(("transport", "shape"), KINDS)
@pytest.mark.parametrize("family", [4, 6])
def test_a_size_below_the_least_or_above_the_most_is_refused(transport: Transport, shape: Shape, family: int) -> None:
    least = least_bytes(one(transport, shape, family))
    assert one(transport, shape, family, size=least).packet_bytes == least
    for size in (least - 1, 65536):
        with pytest.raises(ValueError, match=f"packets of {size} bytes: this probe has {least} to 65535"):
            one(transport, shape, family, size=size)


@pytest.mark.parametrize("transport", ["tcp", "icmp"])
def test_only_udp_has_the_shape_of_quic(transport: Transport) -> None:
    with pytest.raises(ValueError, match="only UDP has another shape"):
        one(transport, "quic-long", 4)


def test_an_initial_longer_than_its_length_can_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="a QUIC Initial with"):
        one("udp", "quic-long", 4, size=17000)


def test_a_packet_without_a_payload_of_its_flow_is_no_plan() -> None:
    flow = one("udp", "plain", 4)
    with pytest.raises(ValueError, match="flow 6: its packet holds no payload of a probe"):
        layout.pack_plan([(6, template(flow), 1, flow.interval_ns, 0)], 64)


def test_a_payload_has_its_head_and_its_size() -> None:
    assert len(payload(1, PAYLOAD_HEAD)) == PAYLOAD_HEAD
    assert payload(1, 100)[:PAYLOAD_HEAD] == payload(1, PAYLOAD_HEAD)
