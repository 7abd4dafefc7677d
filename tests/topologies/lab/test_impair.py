"""An impaired direction does what was asked and the other nothing; healed, the link is as it was and has lost nothing by it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import PAIR, Describe, Up, both_runtimes
from tests.topologies.lab.host import ping
from topologies.image.native import compile_bpf
from topologies.impairment import Impairment
from topologies.linux.bpf import Object
from topologies.linux.impair import queue
from topologies.linux.netns import inside
from topologies.model import Link
from topologies.runtime import RuntimeFailure
from topologies.runtimes import LinuxLab, destroy, open_lab

pytestmark = [pytest.mark.lab, both_runtimes]
MS = 1_000_000
FAR = "10.0.0.2"
NOTHING = Impairment(delay_ns=1)
"""Has to wait for no time at all, and yet goes the way of all that waits."""


@dataclass(frozen=True)
class Pings:
    """What `ping` said: answers in the order in which they came, duplicates apart, and their round-trip times in ms."""

    order: list[int]
    duplicates: int
    times: list[float]


def pings(lab: LinuxLab, count: int, *, every: float = 0.01, size: int = 56, node: str = "a") -> Pings:
    argv = ["ping", "-n", "-c", str(count), "-i", str(every), "-s", str(size), "-W", "1"]
    said = lab.exec(node, [*argv, FAR if node == "a" else "10.0.0.1"], timeout_s=30).out
    found = re.findall(r"icmp_seq=(\d+) ttl=\d+ time=([0-9.]+) ms( \(DUP!\))?", said)
    first = [(int(number), float(ms)) for number, ms, twice in found if not twice]
    return Pings([n for n, _ in first], len(found) - len(first), [ms for _, ms in first])


@pytest.fixture
def pair(describe: Describe, up: Up) -> LinuxLab:
    """a – b."""
    lab = up(describe(PAIR))
    assert ping(lab, "a", FAR, count=3)
    return lab


def link(lab: LinuxLab) -> Link:
    return lab.topology.links[0]


def drawn(lab: LinuxLab) -> tuple[int, int, int]:
    (one,) = lab.impaired()
    return one.drawn.lost, one.drawn.corrupted, one.drawn.duplicated


def wires(lab: LinuxLab) -> list[int]:
    """Pids of wires in user space of this lab, by their command lines."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"/{lab.topology.name}/wires/" in process.read_text():
                found.append(int(process.parent.name))
        except OSError:
            continue
    return found


def test_a_delay_is_one_direction_s_alone_and_goes_with_its_heal(pair: LinuxLab) -> None:
    before = pair.snapshots(["a", "b"])
    pair.impair(link(pair), Impairment(50 * MS), "b")
    delayed = pings(pair, 20)
    assert len(delayed.order) == 20
    assert 50 <= min(delayed.times) < 100, "one of two ways: twice would be 100 ms"
    pair.impair(link(pair), Impairment(50 * MS), "a")
    assert min(pings(pair, 20).times) >= 100
    assert pair.heal_impairment(link(pair))
    assert min(pings(pair, 20).times) < 50
    assert pair.snapshots(["a", "b"]) == before, "indices, addresses, queues and routes"
    assert (pair.impaired(), wires(pair)) == ([], [])
    assert not pair.heal_impairment(link(pair))


def test_inserting_and_taking_out_a_wire_loses_nothing_and_leaves_the_interface_what_it_is(pair: LinuxLab) -> None:
    before = pair.snapshot("a")
    with subprocess.Popen(
        pair.exec_argv("a", ["ping", "-n", "-q", "-c", "1000", "-i", "0.002", "-W", "1", FAR]),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        rounds = 0
        while running.poll() is None:
            pair.impair(link(pair), NOTHING)
            assert before <= pair.snapshot("a") or not wires(pair)
            pair.heal_impairment(link(pair))
            rounds += 1
        assert running.stdout is not None
        said = running.stdout.read()
    assert rounds >= 2
    assert "1000 packets transmitted, 1000 received" in said, said
    assert "duplicates" not in said


def test_half_of_the_frames_are_lost_toward_one_end_and_none_toward_the_other(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(loss=0.5), "b")
    found = pings(pair, 200)
    assert 60 <= len(found.order) <= 140, "seven standard deviations each way"
    if not queue.features().netem:
        assert drawn(pair)[0] >= 200 - len(found.order), "requests; neighbours ask, too"
    pair.impair(link(pair), Impairment(loss=1), "b")
    assert pings(pair, 5).order == []


def test_a_frame_with_a_flipped_bit_reaches_nobody(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(corruption=1), "b")
    assert pings(pair, 20).order == []
    if not queue.features().netem:
        assert drawn(pair)[1] >= 20


def test_corrupted_streams_still_carry_what_was_sent(pair: LinuxLab) -> None:
    """A bit flipped before its checksum is made would be taken for what was sent."""
    pair.impair(link(pair), Impairment(corruption=0.2), "b")
    sent = bytes(range(256)) * 400
    listen = "import socket,sys; s=socket.create_server(('', 9)); print(flush=True); c,_=s.accept()\n"
    listen += "while d := c.recv(65536): sys.stdout.buffer.write(d)"
    with subprocess.Popen(pair.exec_argv("b", ["python3", "-c", listen]), stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == b"\n"
        send = f"import socket; s=socket.create_connection(('{FAR}', 9)); s.sendall(bytes(range(256)) * 400)"
        assert pair.exec("a", ["python3", "-c", send], timeout_s=30).code == 0
        assert listener.stdout.read() == sent


def test_every_frame_arrives_twice(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(duplication=1), "b")
    found = pings(pair, 20)
    assert len(found.order) == 20
    assert found.duplicates >= 19, "ping ends with the first answer to its last question"


def test_frames_that_are_not_delayed_overtake_those_that_are(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(40 * MS, reordering=0.5), "b")
    found = pings(pair, 100, every=0.005)
    assert sorted(found.order) == list(range(1, 101))
    assert found.order != sorted(found.order)


def test_jitter_spreads_the_delay(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(40 * MS, 30 * MS), "b")
    times = pings(pair, 100).times
    assert min(times) < 30
    assert max(times) > 50


def _received(lab: LinuxLab) -> int:
    return int(lab.exec("b", ["cat", "/sys/class/net/eth1/statistics/rx_packets"]).out)


def _sent_at_once(lab: LinuxLab, count: int) -> None:
    send = f"for _ in range({count}): s.sendto(bytes(1400), ('{FAR}', 9))"
    code = f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n{send}"
    assert lab.exec("a", ["python3", "-c", code]).code == 0


def test_what_comes_faster_than_the_rate_waits_and_then_falls(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(rate=200_000), "b")
    before = _received(pair)
    _sent_at_once(pair, 60)
    wait_until(lambda: _received(pair) - before >= 6, "as many frames as may leave at once")
    pair.heal_impairment(link(pair))
    assert _received(pair) - before < 40
    before = _received(pair)
    _sent_at_once(pair, 60)
    wait_until(lambda: _received(pair) - before >= 60, "every frame over a healed link")


def test_frames_that_an_xdp_program_may_send_are_impaired_where_they_arrive(pair: LinuxLab, tmp_path: Path) -> None:
    source = tmp_path / "pass.bpf.c"
    source.write_text(
        '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nSEC("xdp") int pass(struct xdp_md *c) { return XDP_PASS; }\n'
        'char LICENSE[] SEC("license") = "GPL";\n'
    )
    program = Object(compile_bpf(source))

    def attach(lab: LinuxLab, node: str) -> None:
        (end,) = lab.ends[node]

        def body() -> None:
            with IPRoute() as rtnl:
                rtnl.link("set", index=end.index, xdp_fd=program.program_fd("pass"))

        inside(lab.netns(node), body)

    attach(pair, "a")
    (standing,) = pair.impair(link(pair), Impairment(50 * MS, loss=0.2, rate=10_000_000), "b")
    assert not standing.means.sending
    found = pings(pair, 100)
    assert min(found.times) >= 50
    assert 40 <= len(found.order) <= 99
    attach(pair, "b")
    with pytest.raises(RuntimeFailure, match="XDP programs send and receive at its two ends"):
        pair.impair(link(pair), Impairment(loss=0.2), "b")
    program.close()


def test_a_wire_that_was_killed_is_told_and_a_reset_heals_it(pair: LinuxLab) -> None:
    pair.impair(link(pair), NOTHING, "b")
    if not wires(pair):
        pytest.skip("this kernel has netem: no wire in user space is needed")
    for pid in wires(pair):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not wires(pair), "the wire's end")
    (one,) = pair.impaired()
    assert "has ended: no frame passes" in one.trouble
    assert not ping(pair, "a", FAR)
    with_lab = open_lab(pair.topology.name)
    assert with_lab.reset() == [f"{link(pair)} is no longer impaired"]
    with_lab.close()
    assert ping(pair, "a", FAR, count=3)


def test_a_node_that_starts_anew_finds_its_links_impaired_as_they_were(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(50 * MS))
    pair.kill(["b"])
    pair.restart(["b"])
    wait_until(lambda: ping(pair, "a", FAR), "b in service again")
    assert min(pings(pair, 10).times) >= 100


def test_a_lab_that_goes_down_takes_its_wires_along(pair: LinuxLab) -> None:
    pair.impair(link(pair), Impairment(50 * MS))
    destroy(pair.topology.name)
    assert wires(pair) == []
