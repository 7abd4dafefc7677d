"""A host that refuses what the prober needs, has no room for what it gets, or a service that is not there: each is named."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from probes.child import ProbeError
from probes.episodes import flow_loss
from probes.flows import LOST, NOT_SENT
from probes.packets import plan_flows
from probes.prober import Prober
from tests.probes.conftest import failed_checks, run_for, settle, wait_until, warm
from tests.probes.wire import CLIENT, SERVER, Wire
from topologies.linux.netns import inside

pytestmark = pytest.mark.lab

MS = 1_000_000
INTERVAL = 10 * MS


def test_a_capture_filter_that_the_kernel_refuses_is_named(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    planned = plan_flows("c", CLIENT, "web", SERVER, 80, 1, INTERVAL, transport="tcp")
    lab.sysctl("c", "core/optmem_max").write("16")  # what a socket may spend on its filter
    prober = Prober(prober_binary, lab.netns("c"), planned, scratch)
    with pytest.raises(ProbeError, match="prober of c: cannot open a filtered packet socket: Cannot allocate memory"):
        prober.start()
    assert not prober.alive()


def test_answers_that_found_no_room_are_counted_and_nothing_is_trusted(
    lab: Wire, scratch: Path, prober_binary: Path
) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), plan_flows("c", CLIENT, "echo", SERVER, 7, 1, INTERVAL), scratch) as it:
        warm(it)
        t0, t1 = run_for(200)
        settle(it, t1)
        assert "socket-drops" not in failed_checks(it, t0, t1)
        os.kill(it.pid, signal.SIGSTOP)
        inside(lab.netns("s"), lambda: flood(it.flows[0].sport))
        os.kill(it.pid, signal.SIGCONT)
        wait_until(lambda: it.counters().socket_drops > 0, "dropped answers")
        assert "socket-drops" in failed_checks(it, t0, time.monotonic_ns())


def flood(port: int) -> None:
    """More than a socket of the prober's has room for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(20_000):
            sock.sendto(bytes(64), (CLIENT, port))


def test_a_service_that_never_answered_is_a_black_hole_as_long_as_it_was_watched(
    lab: Wire, scratch: Path, prober_binary: Path
) -> None:
    planned = plan_flows("c", CLIENT, "echo", SERVER, 9, 2, INTERVAL)
    with Prober(prober_binary, lab.netns("c"), planned, scratch) as prober:
        t0, t1 = run_for(500)
        wait_until(lambda: prober.window(t0, t1).count(NOT_SENT) == 0, "all of the window's probes")
        window = prober.window(t0, t1)
        assert not prober.quiet_since(t0)
        assert failed_checks(prober, t0, t1) <= {"lateness", "stall"}, "nothing of it is the instrument's fault"
    for trace in window.flows:
        assert set(trace.state) == {LOST}
        found = flow_loss(trace.due, trace.state, INTERVAL)
        assert found.censored
        assert found.black_hole_ns == len(trace.due) * INTERVAL
