"""Probes of every shape and size on a wire: answered whole, checked whole, and never sent in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probes.flows import ANSWERED, CORRUPT, LOST, NOT_SENT, REFUSED, FlowWindow
from probes.packets import ProbeFlow, Shape, Transport, least_bytes, plan_flows
from probes.prober import Prober
from tests.probes.conftest import failed_checks, run_for, settle, wait_until, warm
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire, ip

pytestmark = pytest.mark.lab

MS = 1_000_000
INTERVAL = 10 * MS
MTU = 1500


def planned(transport: Transport, shape: Shape, family: int, size: int | None = None) -> tuple[ProbeFlow, ...]:
    src, dst = (CLIENT6, SERVER6) if family == 6 else (CLIENT, SERVER)
    port = {"udp": 7, "tcp": 80, "icmp": 0}[transport]
    return plan_flows("c", src, "s", dst, port, 2, INTERVAL, transport=transport, shape=shape, packet_bytes=size)


def measured(lab: Wire, scratch: Path, binary: Path, flows: tuple[ProbeFlow, ...]) -> FlowWindow:
    with Prober(binary, lab.netns("c"), flows, scratch) as prober:
        warm(prober)
        t0, t1 = run_for(300)
        settle(prober, t1)
        assert not failed_checks(prober, t0, t1) - {"lateness", "stall"}
        return prober.window(t0, t1)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("transport", "shape"),
    [("udp", "plain"), ("udp", "quic-long"), ("udp", "quic-short"), ("tcp", "plain"), ("icmp", "plain")],
)
@pytest.mark.parametrize("whole", [False, True])
def test_the_smallest_and_the_largest_that_the_wire_takes_are_answered(
    lab: Wire, scratch: Path, prober_binary: Path, transport: Transport, shape: Shape, family: int, whole: bool
) -> None:
    server = SERVER6 if family == 6 else SERVER
    lab.responder("udp", server, "7", "be-1")
    lab.responder("http", server, "80", "be-1")
    least = least_bytes(planned(transport, shape, family)[0])
    window = measured(lab, scratch, prober_binary, planned(transport, shape, family, MTU if whole else least))
    assert window.count(ANSWERED) == sum(len(t.state) for t in window.flows) > 0
    assert window.missing_stamps() == 0
    assert window.backends == (("be-1",) if transport == "udp" else ())


def test_an_initial_of_quic_has_its_size_without_being_asked(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    window = measured(lab, scratch, prober_binary, planned("udp", "quic-long", 4))
    assert window.count(ANSWERED) == sum(len(t.state) for t in window.flows) > 0


@pytest.mark.parametrize("byte", [0, 3, 21, 46, 90])
def test_a_changed_byte_is_seen_in_the_head_as_in_the_padding(
    lab: Wire, scratch: Path, prober_binary: Path, byte: int
) -> None:
    lab.responder("udp", SERVER, "7", "be-1", "every=5", f"corrupt={byte}")
    (flow, _) = planned("udp", "quic-long", 4, 200)
    with Prober(prober_binary, lab.netns("c"), (flow,), scratch) as prober:
        t0, t1 = run_for(400)
        settle(prober, t1)
        (trace,) = prober.window(t0, t1).flows
    assert set(np.unique(trace.state)) == {ANSWERED, CORRUPT}
    assert np.all(np.diff(np.flatnonzero(trace.state == CORRUPT)) == 5)


@pytest.mark.parametrize("transport", ["udp", "icmp"])
def test_a_probe_too_large_for_the_path_is_lost_there_and_never_sent_in_pieces(
    lab: Wire, scratch: Path, prober_binary: Path, transport: Transport
) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    ip("link set s mtu 1400", node=lab.netns("r").name)
    with Prober(prober_binary, lab.netns("c"), planned(transport, "plain", 4, MTU), scratch) as prober:
        wait_until(lambda: prober.counters().sent > 20, "probes")
        t0, t1 = run_for(300)
        settle(prober, t1)
        window = prober.window(t0, t1)
    told = REFUSED if transport == "icmp" else LOST  # a UDP socket that is not connected is not told
    assert window.count(told) == sum(len(t.state) for t in window.flows) > 0


def test_a_probe_larger_than_its_own_link_is_the_harness_fault(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    with Prober(prober_binary, lab.netns("c"), planned("udp", "plain", 4, MTU + 1), scratch) as prober:
        t0, t1 = run_for(200)
        settle(prober, t1)
        window, counters = prober.window(t0, t1), prober.counters()
        assert "harness-loss" in failed_checks(prober, t0, t1)
    assert window.count(NOT_SENT) == sum(len(t.state) for t in window.flows) > 0
    assert {name for name, _ in counters.send_errors} == {"EMSGSIZE"}
