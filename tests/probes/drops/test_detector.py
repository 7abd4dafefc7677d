"""The detector as an instrument: what it does not see it owns up to, and what only looks like a drop it leaves out."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP

from probes.connections import Connections
from probes.drops.kernel import KernelDrops, Unavailable
from probes.flows import LOST
from probes.packets import plan_flows
from probes.prober import Prober
from scenarios.dropped import LinuxHost, Tracing, kernel_drops, program_for
from tests.probes.conftest import MS, ROOT, run_for, wait_until, warm
from tests.probes.drops.conftest import Reading
from tests.probes.drops.sending import Sender
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire
from topologies.linux.netns import hold, inside, remove

REASONS = {"SKB_DROP_REASON_NOT_SPECIFIED": 2}


@pytest.mark.lab
def test_real_probes_and_connections_that_are_answered_are_no_drops(
    lab: Wire, reading: Reading, sentinel: Callable[[], None], scratch: Path, prober_binary: Path
) -> None:
    """SYN-ACKs and echo replies that no socket takes, RSTs that end connections, segments and datagrams that were read."""
    for address in (SERVER, SERVER6):
        lab.responder("udp", address, "7", "be-1")
        lab.responder("http", address, "80", "be-1")
    interval = 20 * MS
    flows = [
        *plan_flows("c", CLIENT, "echo", SERVER, 7, 2, interval, base_port=21000),
        *plan_flows("c", CLIENT6, "echo", SERVER6, 7, 2, interval, first_id=2, base_port=21000),
        *plan_flows("c", CLIENT, "ping", SERVER, 0, 2, interval, first_id=4, transport="icmp"),
        *plan_flows("c", CLIENT6, "ping", SERVER6, 0, 2, interval, first_id=6, transport="icmp"),
        *plan_flows("c", CLIENT, "web", SERVER, 80, 1, interval, first_id=8, transport="tcp"),
        *plan_flows("c", CLIENT6, "web", SERVER6, 80, 1, interval, first_id=9, transport="tcp", base_port=8000),
    ]
    to = {"vantage": "c", "src": CLIENT, "dst": SERVER, "dport": 80, "host": "web.test"}
    with (
        Prober(prober_binary, lab.netns("c"), tuple(flows), scratch) as prober,
        Connections(lab.netns("c"), scratch, **to, count=5, interval_ns=100 * MS),  # type: ignore[arg-type]
    ):
        warm(prober)
        run_for(1000)
        assert reading.until_sentinel(sentinel) == []


@pytest.mark.lab
def test_connections_that_end_in_either_way_are_no_drops(
    lab: Wire, reading: Reading, sentinel: Callable[[], None], scratch: Path
) -> None:
    lab.responder("http", SERVER, "80", "be-1,be-1+close,be-1+fin")
    lab.responder("http", SERVER, "81", "be-1", "reset")
    to = {
        "vantage": "c",
        "src": CLIENT,
        "dst": SERVER,
        "host": "web.test",
        "interval_ns": 50 * MS,
        "count": 3,
        "idle_every": 0,
    }
    with Connections(lab.netns("c"), scratch, dport=80, **to) as connections:  # type: ignore[arg-type]
        for _ in range(2):
            seen = len(connections.records())
            lab.processes[0].send_signal(10)  # SIGUSR1: the next name
            wait_until(lambda seen=seen: len(connections.records()) > seen + 3, "connections that ended")
    assert reading.until_sentinel(sentinel) == []


@pytest.mark.lab
def test_a_full_ring_is_owned_up_to(lab: Wire, sent: Sender) -> None:
    count = 60_000
    with kernel_drops({"r": lab.netns("r")}) as drops:
        sent.probes(3, ("10.77.0.1", 7), count=count)
        wait_until(lambda: drops.lost > 0, "a full ring")
        found = drops.read()
        assert len(found) + drops.lost == count
        assert [drop.seq for drop in found] == list(range(len(found))), "the oldest are kept"
        lost = drops.lost
        sent.probe(4, 0, to=("10.77.0.1", 7))
        wait_until(lambda: any(drop.probe == 4 for drop in drops.read()), "room again")
        assert drops.lost == lost


@pytest.mark.lab
def test_a_node_that_got_another_namespace_is_followed(lab: Wire, sent: Sender, scratch: Path) -> None:
    place = scratch / "node"
    hold(place, lab.netns("s"))
    try:
        with kernel_drops({"node": place}) as drops:
            reading = Reading(drops)
            reading.await_seqs(3, sent.probes(3, (SERVER, 9)))
            hold(place, lab.netns("r"))
            drops.read()
            reading.await_seqs(4, sent.probes(4, ("10.77.0.1", 9)))
            sent.probes(5, (SERVER, 9))
            sent.probe(6, 0, to=("10.77.0.1", 9))
            reading.await_seqs(6, {0})
            assert reading.of(5) == []
            remove(place)
            assert drops.read() == []
            assert (drops.lost, drops.unavailable) == (0, "")
    finally:
        remove(place)


@pytest.mark.lab
def test_where_the_kernel_refuses_the_reason_is_told_and_nothing_raised(lab: Wire) -> None:
    script = (
        "import sys; from pathlib import Path; from scenarios.dropped import kernel_drops\n"
        "with kernel_drops({'c': Path(sys.argv[1])}) as drops: print(drops.unavailable, drops.read(), drops.lost)"
    )
    unprivileged = ["setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon"]
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", script, str(lab.netns("c"))],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.startswith("the kernel's drops cannot be watched: ")
    assert done.stdout.endswith(" [] 0\n")


class Refusing(LinuxHost):
    def start(self) -> object:  # type: ignore[override]
        raise Unavailable("no such thing here")


def test_a_host_without_the_tracepoint_reads_nothing() -> None:
    with KernelDrops({"a": Path("/nowhere")}, Refusing()) as drops:  # type: ignore[arg-type]
        assert (drops.unavailable, drops.read(), drops.lost) == ("no such thing here", [], 0)


@pytest.mark.parametrize(("arguments", "program"), [(3, "dropped"), (4, "dropped_at_socket"), (5, "dropped_at_socket")])
def test_the_program_suits_the_tracepoint(arguments: int, program: str) -> None:
    assert program_for(arguments, REASONS) == program


@pytest.mark.parametrize(("arguments", "reasons"), [(None, REASONS), (2, {}), (2, REASONS), (3, {})])
def test_a_kernel_that_tells_no_reasons_is_named(arguments: int | None, reasons: dict[str, int]) -> None:
    with pytest.raises(Unavailable, match="this kernel"):
        program_for(arguments, reasons)


@pytest.mark.lab
@pytest.mark.parametrize("program", ["dropped", "dropped_at_socket"])
def test_both_programs_are_taken_by_this_kernel(program: str) -> None:
    Tracing(program).close()


@pytest.mark.lab
def test_a_segment_that_comes_again_is_no_drop(
    lab: Wire, reading: Reading, sentinel: Callable[[], None], sent: Sender
) -> None:
    """To an open connection, where TCP has its data, and to one in TIME_WAIT."""
    listener = inside(lab.netns("s"), lambda: socket.create_server((SERVER, 80)))
    with listener, inside(lab.netns("c"), lambda: socket.create_connection((SERVER, 80), 8, (CLIENT, 5000))) as client:
        accepted, _ = listener.accept()
        with accepted, inside(lab.netns("s"), _packets) as tap:
            client.sendall(b"once")
            assert accepted.recv(8) == b"once"
            segment = next(p for p in iter(lambda: tap.recv(2048), b"") if p.endswith(b"once"))
            sent.packet(_again(segment))
            assert reading.until_sentinel(sentinel) == []
            accepted.close()  # the side that closes first waits
            assert client.recv(1) == b""
            client.close()
            end = next(p for p in iter(lambda: tap.recv(2048), b"") if TCP in IP(p) and IP(p)[TCP].flags.F)
        sent.packet(_again(end))
        reading.found.clear()
        at_s = [drop for drop in reading.until_sentinel(sentinel) if drop.node == "s"]
        assert at_s == [], "what it answers finds no connection at c any more"


def _again(segment: bytes) -> IP:
    """With the checksum that its sender had left to its device."""
    whole = IP(segment)
    del whole[TCP].chksum
    return whole


def _packets() -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    tap.settimeout(8)
    return tap


@pytest.mark.lab
@pytest.mark.parametrize("rule", ["udp dport 7", "udp sport 7", "ip protocol icmp icmp type echo-reply"])
def test_every_probe_that_the_prober_lost_was_told(
    lab: Wire, sent: Sender, reading: Reading, scratch: Path, prober_binary: Path, rule: str
) -> None:
    """Lost on its way there, or its answer on its way back: the same flow and sequence number, once each, and no other."""
    lab.responder("udp", SERVER, "7", "be-1")
    assert sent.four.fileno() >= 0, "so that no neighbour is looked for"
    nft = ["nsenter", f"--net={lab.netns('r')}", "nft"]
    chain = "add table inet t; add chain inet t f { type filter hook forward priority 0; }"
    subprocess.run([*nft, chain], check=True)
    flows = [
        *plan_flows("c", CLIENT, "echo", SERVER, 7, 5, 10 * MS, base_port=21000),
        *plan_flows("c", CLIENT, "ping", SERVER, 0, 5, 10 * MS, first_id=5, transport="icmp"),
    ]
    with Prober(prober_binary, lab.netns("c"), tuple(flows), scratch) as prober:
        warm(prober)
        t0 = time.monotonic_ns()
        subprocess.run([*nft, f"add rule inet t f {rule} drop"], check=True)
        run_for(300)
        subprocess.run([*nft, "flush chain inet t f"], check=True)
        t1 = time.monotonic_ns()

        def lost() -> list[tuple[int, int]]:
            """What has no answer yet, on a busy host, gets it later."""
            traces = prober.window(t0 - 5000 * MS, t1).flows
            return sorted((t.flow.id, int(seq)) for t in traces for seq in t.seq[t.state == LOST])

        def told() -> list[tuple[int | None, int | None]]:
            reading.of(None)
            return sorted((d.probe or 0, d.seq or 0) for d in reading.found)

        wait_until(lambda: lost() == told(), "one drop for each lost probe")
    assert len(reading.found) >= 5 * 10
    assert {(d.node, d.reason) for d in reading.found} == {("r", "NETFILTER_DROP")}
