"""One way to lose packets after another, on a lab of three nodes: every lost probe is found where it died, for the right reason."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from probes.attribution.reasons import Cause
from probes.drops.counters import difference
from probes.packets import plan_flows
from probes.prober import Prober
from scenarios.collected import Collected
from scenarios.died import Death, Judged, deaths
from scenarios.dropped import count_drops, kernel_drops
from scenarios.told import drops_of
from tests.probes.conftest import MS, run_for, scratch, settle, warm
from tests.probes.drops.test_lab import CHAIN, SERVICE, A, B
from tests.topologies.lab.conftest import Describe, Up, describe, runtime, up
from topologies.image.native import compile_bpf, compile_program
from topologies.linux.bpf import Object
from topologies.linux.netns import inside
from topologies.model import Link
from topologies.runtimes import LinuxLab

__all__ = ["describe", "runtime", "scratch", "up"]
pytestmark = pytest.mark.lab
ROOT = Path(__file__).resolve().parents[2]
VIP = SERVICE[0]
BREAK_MS = 300
SHARE = 0.99


@dataclass
class Bench:
    """A lab that is probed, and what sees its probes die."""

    lab: LinuxLab
    prober: Prober
    dropped: Collected

    def run(self, node: str, *lines: str) -> None:
        for line in lines:
            done = self.lab.exec(node, ["sh", "-c", line])
            assert done.code == 0, f"{node}: {line}: {done.err}"

    def link(self, a: str, b: str) -> Link:
        return next(x for x in self.lab.topology.links_of(a) if x.end_beyond(a).node == b)

    def lost(
        self,
        broken: Callable[[], object],
        mended: Callable[[], object] | None,
        dead: tuple[str, ...] = (),
        *,
        deaf: bool = False,
        counting: bool = False,
        for_ms: int = BREAK_MS,
    ) -> list[Death]:
        """Breaks for a while, mends, and says where what was lost meanwhile died. `deaf`: without what the kernel tells;
        `counting`: by its counters."""
        lab = self.lab
        nodes = {node: lab.netns(node) for node in lab.topology.nodes}
        counts = count_drops(nodes) if counting else {}
        lab.sight()
        run_for(100)  # where flows are answered is seen before anything is broken
        start = time.monotonic_ns()
        broken()
        run_for(for_ms)
        if mended:
            mended()
        t1 = time.monotonic_ns()
        if mended:
            warm(self.prober)
        settle(self.prober, t1)
        lab.unsight()
        now = count_drops(nodes) if counting else {}
        counted = [drops for node in now for drops in difference(node, counts[node], now[node])]
        window = self.prober.window(start, t1)
        found = deaths(
            [Judged(trace, start, t1) for trace in window.flows],
            lab.wire.sighted(),
            lab.way_of,
            drops_of(self.prober.flows, () if deaf else self.dropped.between(start, time.monotonic_ns()), (), counted),
            dead=dead,
        )
        assert self.dropped.missing() == ""
        assert len(found) >= len(window.flows) * for_ms // 4 // 10, "hardly a probe was lost: nothing was broken"
        return found


@pytest.fixture
def bench(describe: Describe, up: Up, scratch: Path) -> Iterator[Bench]:
    lab = up(describe(CHAIN))
    flows = [
        *plan_flows("a", A, "echo", VIP, 7, 20, 10 * MS),
        *plan_flows("a", A, "ping", VIP, 0, 2, 10 * MS, transport="icmp", first_id=100),
    ]
    prober = Prober(compile_program(ROOT / "probes/native/prober.c"), lab.netns("a"), flows, scratch)
    with Collected(kernel_drops({n: lab.netns(n) for n in "arb"})) as dropped, prober:
        warm(prober)
        yield Bench(lab, prober, dropped)


@pytest.fixture
def large(describe: Describe, up: Up, scratch: Path) -> Iterator[Bench]:
    """The same with packets that fill a link, and a socket's queue."""
    lab = up(describe(CHAIN))
    flows = plan_flows("a", A, "echo", VIP, 7, 20, 10 * MS, packet_bytes=1400)
    prober = Prober(compile_program(ROOT / "probes/native/prober.c"), lab.netns("a"), flows, scratch)
    with Collected(kernel_drops({n: lab.netns(n) for n in "arb"})) as dropped, prober:
        warm(prober)
        yield Bench(lab, prober, dropped)


@pytest.fixture
def double(describe: Describe, up: Up, scratch: Path) -> Iterator[Bench]:
    """The first with another link beside that from r to b, which nothing crosses."""
    lab = up(describe(f"{CHAIN}    - {{endpoints: [r:eth3, b:eth2], mtu: 1500}}\n"))
    flows = plan_flows("a", A, "echo", VIP, 7, 20, 10 * MS)
    prober = Prober(compile_program(ROOT / "probes/native/prober.c"), lab.netns("a"), flows, scratch)
    with Collected(kernel_drops({n: lab.netns(n) for n in "arb"})) as dropped, prober:
        warm(prober)
        yield Bench(lab, prober, dropped)


DROPPER = ROOT / "tests/probes/drops/drop.bpf.c"


@contextmanager
def held(source: Path) -> Iterator[Object]:
    loaded = Object(compile_bpf(source))
    yield loaded
    loaded.close()


@contextmanager
def xdp(netns: Path, program: int) -> Iterator[Callable[[bool], None]]:
    """Attaches and detaches the program at eth1 of a namespace."""

    def switch(on: bool) -> None:
        def body() -> None:
            with IPRoute() as netlink:
                netlink.link("set", index=netlink.link_lookup(ifname="eth1")[0], xdp_fd=program if on else -1)

        inside(netns, body)

    yield switch


def _expect(found: list[Death], right: Callable[[Cause], bool]) -> None:
    causes = [death.cause for death in found]
    wrong = [c for c in causes if not right(c)]
    assert len(wrong) <= (1 - SHARE) * len(causes), f"{len(wrong)} of {len(causes)}: {set(wrong)}"


def _is(
    node: str, reason: str, source: str, *, interface: str | None = None, answer: bool = False
) -> Callable[[Cause], bool]:
    return lambda c: (
        (c.node, c.reason, c.source, c.answer) == (node, reason, source, answer) and interface in (None, c.interface)
    )


NFT = "nft add table inet t; nft add chain inet t f '{type filter hook forward priority 0;}'; nft add rule inet t f ip %s %s drop"


def test_a_filter(bench: Bench) -> None:
    found = bench.lost(lambda: bench.run("r", NFT % ("daddr", VIP)), lambda: bench.run("r", "nft delete table inet t"))
    _expect(found, _is("r", "NETFILTER_DROP", "kernel"))


def test_a_filter_that_takes_answers(bench: Bench) -> None:
    found = bench.lost(lambda: bench.run("r", NFT % ("saddr", VIP)), lambda: bench.run("r", "nft delete table inet t"))
    _expect(found, _is("r", "NETFILTER_DROP", "kernel", answer=True))


def test_no_route(bench: Bench) -> None:
    found = bench.lost(
        lambda: bench.run("r", f"ip route del {VIP}"), lambda: bench.run("r", f"ip route add {VIP} via {B}")
    )
    _expect(found, _is("r", "IP_INNOROUTES", "kernel", interface="eth1"))


def test_a_link_cut_silently(bench: Bench) -> None:
    link = bench.link("r", "b")
    found = bench.lost(lambda: bench.lab.cut_link(link), lambda: bench.lab.mend_link(link))
    _expect(found, lambda c: (c.reason, c.source) == ("link cut", "cut") and {c.node, c.toward} == {"r", "b"})
    assert any(_is("r", "link cut", "cut", interface="eth2")(death.cause) for death in found)


def test_a_link_cut_beside_another_between_the_same_nodes(double: Bench) -> None:
    link = double.link("r", "b")
    found = double.lost(lambda: double.lab.cut_link(link), lambda: double.lab.mend_link(link))
    ends = {(end.node, end.interface) for end in link.endpoints}
    _expect(found, lambda c: c.source == "cut" and (c.node, c.interface) in ends)


def test_a_queue_that_is_full_where_a_link_begins(bench: Bench) -> None:
    add = (
        "tc qdisc add dev eth2 root tbf rate 8kbit burst 2000 limit 300"  # hardly any lies in it when it is taken away
    )
    found = bench.lost(lambda: bench.run("r", add), lambda: bench.run("r", "tc qdisc delete dev eth2 root"))
    _expect(found, _is("r", "QDISC_DROP", "kernel", interface="eth2"))


def test_a_link_that_lost_its_carrier(bench: Bench) -> None:
    link = bench.link("r", "b")
    found = bench.lost(lambda: bench.lab.drop_carrier(link), lambda: bench.lab.raise_carrier(link))
    _expect(found, lambda c: c.node == "r" and c.source == "kernel")


def test_a_dead_node(bench: Bench) -> None:
    found = bench.lost(lambda: bench.lab.kill(["b"]), lambda: bench.lab.restart(["b"]), dead=("b",))
    _expect(found, lambda c: c.reason == "node dead" and "b" in (c.node, c.toward))


def test_a_service_that_is_frozen_does_not_answer(bench: Bench) -> None:
    found = bench.lost(lambda: bench.lab.signal("b", "python3", signal.SIGSTOP), None)
    _expect(found, _is("b", "not answered", "silence"))


def test_packets_too_large_for_a_link(large: Bench) -> None:
    found = large.lost(
        lambda: large.run("r", "ip link set eth2 mtu 1300"), lambda: large.run("r", "ip link set eth2 mtu 1500")
    )
    _expect(found, _is("r", "PKT_TOO_BIG", "kernel"))


def test_a_socket_that_is_not_read_in_time(large: Bench) -> None:
    """What fits into its queue waits, and what comes on top is dropped."""
    found = large.lost(lambda: large.lab.signal("b", "python3", signal.SIGSTOP), None, for_ms=1500)
    _expect(found, lambda c: c.node == "b" and c.reason in ("SOCKET_RCVBUFF", "not answered", "node silent"))
    full = [death for death in found if death.cause.reason == "SOCKET_RCVBUFF"]
    assert len(full) > len(found) / 4
    assert all(_is("b", "SOCKET_RCVBUFF", "kernel")(death.cause) for death in full)


def test_a_program_that_drops_before_the_kernel_sees_the_packet(bench: Bench) -> None:
    """Whose reason the kernel does not know; a system of that kind hands it over itself."""
    with held(DROPPER) as programs, xdp(bench.lab.netns("b"), programs.program_fd("xdp_drop")) as switch:
        found = bench.lost(lambda: switch(True), lambda: switch(False))
    _expect(found, lambda c: (c.node, c.source, c.words) == ("b", "kernel", "XDP program"))


def test_a_node_that_is_frozen_still_has_its_kernel(bench: Bench) -> None:
    """Which forwards for others, and for itself puts what comes where nobody reads it; it still answers pings."""
    found = bench.lost(lambda: bench.lab.freeze(["r", "b"]), None)
    _expect(found, _is("b", "not answered", "silence"))
    assert {death.flow for death in found} == set(range(20))


def test_a_closed_port(bench: Bench) -> None:
    found = bench.lost(lambda: bench.lab.signal("b", "python3", signal.SIGKILL), lambda: bench.lab.restart(["b"]))
    _expect(found, lambda c: c.node == "b" and c.source in ("kernel", "silence"))
    assert any(_is("b", "NO_SOCKET", "kernel")(death.cause) for death in found)


def test_without_the_kernels_word_the_place_is_known_and_the_reason_is_said_to_be_unknown(bench: Bench) -> None:
    found = bench.lost(
        lambda: bench.run("r", NFT % ("daddr", VIP)), lambda: bench.run("r", "nft delete table inet t"), deaf=True
    )
    _expect(found, lambda c: c.node == "r" and c.source in ("none", "silence"))


def test_where_the_kernel_tells_no_single_drops_its_counters_say_why(bench: Bench) -> None:
    found = bench.lost(
        lambda: bench.run("r", f"ip route del {VIP}"),
        lambda: bench.run("r", f"ip route add {VIP} via {B}"),
        deaf=True,
        counting=True,
    )
    _expect(found, _is("r", "IP_INNOROUTES", "counter"))
