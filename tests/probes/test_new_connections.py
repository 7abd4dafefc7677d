"""SYN probes against servers that accept, refuse, reset and keep silent: each told apart, and nothing left behind."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from probes.attempts import attempts_of
from probes.flows import ANSWERED, LOST, NOT_SENT, REFUSED, RESET
from probes.packets import ProbeFlow, plan_flows
from probes.prober import Prober
from tests.probes.conftest import failed_checks, run_for, settle, wait_until, wait_until_ns, warm
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire, ip

pytestmark = pytest.mark.lab

MS = 1_000_000
INTERVAL = 10 * MS
NOWHERE = "10.9.3.3"
"""Routed to the server's node, which has no such address and forwards nothing: whoever asks it meets silence."""


def syns(src: str = CLIENT, dst: str = SERVER, port: int = 80) -> tuple[ProbeFlow, ...]:
    return plan_flows("c", src, "web", dst, port, 1, INTERVAL, transport="tcp", first_id=300)


def counter(lab: Wire, name: str) -> int:
    """A TCP counter of the server's kernel, netstat's extended ones."""
    netns = lab.netns("s")
    table = subprocess.run(
        ["nsenter", f"--net={netns}", "cat", "/proc/net/netstat"], check=True, capture_output=True, text=True
    )
    names, values = (line.split() for line in table.stdout.splitlines()[:2])
    return int(values[names.index(name)])


def half_open(lab: Wire) -> int:
    listed = subprocess.run(
        ["nsenter", f"--net={lab.netns('s')}", "ss", "-Htan", "state", "syn-recv"],
        check=True,
        capture_output=True,
        text=True,
    )
    return len(listed.stdout.splitlines())


@pytest.mark.parametrize(("src", "dst"), [(CLIENT, SERVER), (CLIENT6, SERVER6)])
def test_a_listening_server_accepts_every_syn_and_keeps_nothing_of_it(
    lab: Wire, scratch: Path, prober_binary: Path, src: str, dst: str
) -> None:
    lab.responder("http", dst, "80", "be-1")
    with Prober(prober_binary, lab.netns("c"), syns(src, dst), scratch) as prober:
        warm(prober)
        t0, t1 = run_for(600)
        settle(prober, t1)
        window, counters = prober.window(t0, t1), prober.counters()
        failed = failed_checks(prober, t0, t1)
    (trace,) = window.flows
    found = attempts_of(trace)
    assert found.attempts == found.accepted == pytest.approx((t1 - t0) / INTERVAL, abs=1)
    assert found.failed == found.new_fail_ns == 0
    assert 0 < found.accept_ns[0] <= found.accept_ns[-1] < 300 * MS
    assert window.missing_stamps() == 0
    assert np.all((trace.due <= trace.tx) & (trace.tx < trace.rx))
    assert (counters.duplicates, counters.foreign, counters.denied) == (0, 0, 0)
    assert not failed - {"lateness", "stall"}
    # the client's kernel knows of no connection, so it answers each SYN-ACK with RST: that is what clears the server up
    assert counter(lab, "EmbryonicRsts") >= found.attempts
    wait_until(lambda: half_open(lab) == 0, "the end of half-open connections")


def test_every_syn_leaves_from_a_port_of_its_own(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    sniff = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 8)\n"
        "seen = []\n"
        "print('listening', flush=True)\n"
        "while len(seen) < 100:\n"
        "    p = s.recv(2048)\n"
        "    if p[9] == 6 and p[33] == 2: seen.append((int.from_bytes(p[20:22], 'big'), int.from_bytes(p[24:28], 'big')))\n"
        "print(*(f'{a}:{b}' for a, b in seen))\n"
    )
    lab.responder("http", SERVER, "80", "be-1")
    watcher = subprocess.Popen(
        ["nsenter", f"--net={lab.netns('s')}", "python3", "-c", sniff], stdout=subprocess.PIPE, text=True
    )
    lab.processes.append(watcher)  # type: ignore[arg-type]
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "listening\n"
    with Prober(prober_binary, lab.netns("c"), syns(), scratch):
        seen = [tuple(map(int, pair.split(":"))) for pair in watcher.stdout.readline().split()]
    ports = [port for port, _ in seen]
    assert ports == list(range(ports[0], ports[0] + 100))
    assert {number >> 24 for _, number in seen} == {300 & 0xFF}
    assert [number & 0xFFFFFF for _, number in seen] == [port - 2000 for port in ports]


def test_a_port_nobody_listens_on_refuses(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    with Prober(prober_binary, lab.netns("c"), syns(port=81), scratch) as prober:
        t0, t1 = run_for(600)
        settle(prober, t1)
        (trace,) = prober.window(t0, t1).flows
    assert set(np.unique(trace.state[-30:])) == {REFUSED}
    assert trace.icmp is not None
    assert not trace.icmp.any()
    found = attempts_of(trace)
    assert found.refused >= 30
    assert found.censored


@pytest.mark.parametrize(
    ("src", "dst", "told"), [(CLIENT, SERVER, 3 * 256 + 1), (CLIENT6, SERVER6, 1 * 256 + 0)], ids=["v4", "v6"]
)
def test_an_icmp_unreachable_refuses_and_says_which(
    lab: Wire, scratch: Path, prober_binary: Path, src: str, dst: str, told: int
) -> None:
    lab.sysctl("r", "ipv4/icmp_ratelimit").write("0")
    lab.sysctl("r", "ipv6/icmp/ratelimit").write("0")
    lab.responder("http", dst, "80", "be-1")
    flows = syns(src, dst) + plan_flows("c", src, "web", dst, 0, 1, INTERVAL, transport="icmp", first_id=9)
    with Prober(prober_binary, lab.netns("c"), flows, scratch) as prober:
        warm(prober)
        ip(f"route add unreachable {dst}", node=lab.netns("r").name)
        t0, t1 = run_for(500)
        settle(prober, t1)
        window = prober.window(t0, t1)
    for trace in window.flows:
        refused = trace.state == REFUSED
        assert np.all(refused | (trace.state == LOST)), trace.flow
        # a Linux router tells an IPv4 sender only a few times (ip_error's own limit) and is silent then
        assert np.count_nonzero(refused) >= (1 if dst == SERVER else len(refused) - 2)
        assert trace.icmp is not None
        assert set(np.unique(trace.icmp[refused])) == {told}
        assert np.all(trace.rx[refused] > trace.tx[refused])


def impostor(lab: Wire, what: str) -> None:
    ip(f"route add {NOWHERE} via {SERVER}", node=lab.netns("r").name)
    lab.script("impostor.py", NOWHERE, "80", what)


def test_a_rst_that_acknowledges_nothing_resets(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    impostor(lab, "stray")
    began = time.monotonic_ns()
    with Prober(prober_binary, lab.netns("c"), syns(dst=NOWHERE), scratch) as prober:
        wait_until(
            lambda: any(RESET in trace.state for trace in prober.window(began, time.monotonic_ns()).flows), "a reset"
        )
        t0, t1 = run_for(400)
        settle(prober, t1)
        (trace,) = prober.window(t0, t1).flows
    assert set(np.unique(trace.state[-30:])) == {RESET}
    assert attempts_of(trace).reset >= 30


def test_a_syn_ack_of_something_else_accepts_nothing(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    impostor(lab, "misnumbered")
    with Prober(prober_binary, lab.netns("c"), syns(dst=NOWHERE), scratch) as prober:
        wait_until(lambda: prober.counters().foreign >= 10, "misnumbered answers")
        t0, t1 = run_for(300)
        settle(prober, t1)
        (trace,) = prober.window(t0, t1).flows
    assert set(np.unique(trace.state)) == {LOST}


def test_silence_of_known_length_is_measured_within_an_interval_and_not_blurred_by_retransmission(
    lab: Wire, scratch: Path, prober_binary: Path
) -> None:
    lab.responder("http", SERVER, "80", "be-1")
    forwarding = lab.sysctl("r", "ipv4/ip_forward")
    with Prober(prober_binary, lab.netns("c"), syns(), scratch) as prober:
        warm(prober)
        for _attempt in range(5):
            t0, _ = run_for(200)
            cut = forwarding.write("0")
            wait_until_ns(cut[1] + 412 * MS)
            heal = forwarding.write("1")
            _, t1 = run_for(1500)  # longer than the kernel's first retransmission, were there one
            settle(prober, t1)
            window = prober.window(t0, t1)
            slack = int(window.lateness().max()) + max(int(t.answer_ns().max()) for t in window.flows) + MS
            if slack < INTERVAL / 2:
                break
    assert slack < INTERVAL, "five times over, the machine was too busy for this test to say anything"
    (trace,) = window.flows
    found = attempts_of(trace)
    assert found.silent == found.failed == np.count_nonzero(trace.state == LOST)
    assert not found.censored
    assert heal[0] - cut[1] - INTERVAL - slack <= found.new_fail_ns <= heal[1] - cut[0] + INTERVAL + slack
    assert np.count_nonzero(trace.state == NOT_SENT) == 0


@pytest.mark.parametrize(("src", "dst"), [(CLIENT, SERVER), (CLIENT6, SERVER6)])
def test_echo_requests_are_flows_like_any_other(
    lab: Wire, scratch: Path, prober_binary: Path, src: str, dst: str
) -> None:
    planned = plan_flows("c", src, "web", dst, 0, 4, INTERVAL, transport="icmp")
    with Prober(prober_binary, lab.netns("c"), planned, scratch) as prober:
        warm(prober)
        t0, t1 = run_for(400)
        settle(prober, t1)
        window, counters = prober.window(t0, t1), prober.counters()
    assert (
        window.count(ANSWERED)
        == sum(len(t.state) for t in window.flows)
        == pytest.approx(4 * (t1 - t0) / INTERVAL, abs=4)
    )
    assert window.missing_stamps() == 0
    assert counters.foreign == counters.corrupt == counters.duplicates == 0
    for trace in window.flows:
        assert np.all(trace.backend == 255)
        assert np.all(trace.answer_ns() > 0)
        assert trace.transport == "icmp"


def test_transports_beside_each_other_do_not_disturb_each_other(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    lab.responder("http", SERVER, "80", "be-1")
    mixed = (
        *plan_flows("c", CLIENT, "echo", SERVER, 7, 4, INTERVAL),
        *plan_flows("c", CLIENT, "web", SERVER, 80, 1, INTERVAL, transport="tcp", first_id=10),
        *plan_flows("c", CLIENT, "web", SERVER, 81, 1, INTERVAL, transport="tcp", first_id=11),
        *plan_flows("c", CLIENT, "web", SERVER, 0, 2, INTERVAL, transport="icmp", first_id=20),
    )
    with Prober(prober_binary, lab.netns("c"), mixed, scratch) as prober:
        wait_until(lambda: prober.counters().received > 100, "answers")
        t0, t1 = run_for(400)
        settle(prober, t1)
        window, counters = prober.window(t0, t1), prober.counters()
    assert counters.foreign == 0
    assert window.only("udp", "icmp").count(ANSWERED) == sum(len(t.state) for t in window.only("udp", "icmp").flows)
    accepting, refusing = window.only("tcp").flows
    assert set(np.unique(accepting.state)) == {ANSWERED}
    assert set(np.unique(refusing.state)) == {REFUSED}
