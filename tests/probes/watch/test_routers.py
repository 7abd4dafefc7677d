"""A silent cut between real routers: its causes are in the timeline in their order, and a slow FIB shows as one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from probes.watch import TimelineEvent, Watch
from probes.watch.decompose import Failure, FirstPacket, decompose
from reports.evidence.schema import Stage
from tests.probes.conftest import wait_until
from tests.probes.watch.routers import CLIENT, VIP, square
from tests.topologies.lab.conftest import Describe, Up
from topologies.linux.wire import CUT_IN, CUT_OUT
from topologies.oci.lab import OciLab

pytestmark = pytest.mark.lab
CUT_LINK = frozenset({("a", "eth2"), ("d", "eth1")})
DELAY_S = 0.7


@dataclass
class Watched:
    """The square, settled, and its watch."""

    lab: OciLab
    watch: Watch

    def answers(self) -> bool:
        argv = ["ping", "-n", "-q", "-c", "1", "-W", "0.05", "-I", CLIENT, VIP]
        return self.lab.exec("c", argv).code == 0

    def cut(self) -> int:
        """Cuts the link of a and d, both directions, silently."""
        (end,) = [end for end in self.lab.ends["a"] if end.interface == "eth2"]
        instant = self.lab.wire.cut_ends([end.index], CUT_OUT | CUT_IN)
        assert not self.answers(), "the cut bit"
        return instant.after_ns

    def events(self, since_ns: int) -> list[TimelineEvent]:
        return self.watch.events(since_ns, time.monotonic_ns())

    def ways(self, node: str, prefix: str) -> int:
        """Ways to a prefix that the node's BGP has learned."""
        shown = self.lab.exec(node, ["vtysh", "-c", f"show bgp ipv4 unicast {prefix}/32 json"]).out
        return len(json.loads(shown or "{}").get("paths", []))

    def bgp_knows_bfd(self) -> bool:
        """Whether every bgpd has been told that its BFD sessions are up, and its own have been up for a while: FRR 10.3 ignores
        a BFD session that goes down before, and within a second of its own session's start; then its hold timer has to notice."""
        for node in "cabd":
            peers = json.loads(self.lab.exec(node, ["vtysh", "-c", "show bgp neighbors json"]).out or "{}").values()
            if [peer.get("peerBfdInfo", {}).get("status") for peer in peers] != ["Up", "Up"]:
                return False
            if min(peer.get("bgpTimerUpMsec", 0) for peer in peers) < 2000:
                return False
        return True

    def signal(self, node: str, process: str, number: signal.Signals) -> None:
        for pid, name in self.lab.pids(node).items():
            if name == process:
                os.kill(pid, number)

    def stages(self, cut_ns: int) -> dict[str, Stage]:
        """Of the failover, once packets are answered again."""
        wait_until(self.answers, "an answer over the other way", deadline_s=15)
        now = time.monotonic_ns()
        failure = Failure(cut_ns, ends=CUT_LINK, destinations=frozenset({VIP}))
        found = decompose(self.events(cut_ns), failure, FirstPacket(now, node="c"), on_path={"c", "b"})
        return {stage.name: stage for stage in found}


@pytest.fixture
def square_of_routers(describe: Describe, up: Up, tmp_path: Path, scratch: Path) -> Iterator[Watched]:
    lab = up(describe(square(tmp_path)))
    ends = {e.number: (e.node, e.interface, p.node) for a, b in lab.pairs() for e, p in ((a, b), (b, a))}
    nodes = {node: lab.netns(node) for node in lab.topology.nodes}
    with lab.wire.hear() as hearing, Watch(scratch, nodes, ends, hearing) as watch:
        watched = Watched(lab, watch)

        def settled() -> bool:
            said = {(e.node, e.peer): e.what for e in watched.events(0) if e.source == "bfd"}
            both = watched.ways("c", VIP) == watched.ways("d", CLIENT) == 2
            return list(said.values()) == ["up"] * 8 and both and watched.bgp_knows_bfd() and watched.answers()

        wait_until(settled, "eight ends of BFD sessions up and two ways to each end", deadline_s=30)
        assert "eth1" in lab.exec("c", ["ip", "route", "show", VIP]).out, "the upper way is taken"
        yield watched


def test_causes_of_a_silent_cut_are_in_their_order(square_of_routers: Watched) -> None:
    began = time.monotonic_ns()
    cut_ns = square_of_routers.cut()
    stages = square_of_routers.stages(cut_ns)
    assert list(stages) == ["detection", "withdrawal", "fib", "first-packet"]
    assert [stage.node for stage in stages.values()] == ["a", "a", "c", "c"]
    events = square_of_routers.events(began)

    def first(node: str, source: str, what: str, peer: str | None = None) -> TimelineEvent:
        return next(e for e in events if (e.node, e.source, e.what) == (node, source, what) and peer in (None, e.peer))

    down, other_down = first("a", "bfd", "down", "d"), first("d", "bfd", "down", "a")
    withdraw, change = first("a", "bgp", "withdraw", "c"), first("c", "fib", "replace")
    assert cut_ns < down.t_ns < withdraw.t_ns < change.t_ns
    assert down.detail == other_down.detail == "control detection time expired"
    assert withdraw.prefix == change.prefix == f"{VIP}/32"
    assert (change.peer, change.interface) == ("b", "eth2")
    notification = first("a", "bgp", "notification", "d")
    assert notification.detail == "cease: BFD down", "said into the cut, and heard all the same"
    assert square_of_routers.watch.gaps(began, time.monotonic_ns()) == []


def test_a_delay_of_the_fib_is_in_the_fib_stage(square_of_routers: Watched) -> None:
    watched = square_of_routers
    watched.signal("c", "zebra", signal.SIGSTOP)
    cut_ns = watched.cut()

    def told() -> list[int]:
        return [e.t_ns for e in watched.events(cut_ns) if (e.node, e.peer, e.what) == ("a", "c", "withdraw")]

    wait_until(lambda: bool(told()), "a's withdrawal", deadline_s=15)
    wait_until(lambda: time.monotonic_ns() - told()[0] > DELAY_S * 1e9, "the delay", deadline_s=15)
    assert not [e for e in watched.events(cut_ns) if (e.node, e.source) == ("c", "fib")]
    watched.signal("c", "zebra", signal.SIGCONT)
    stages = watched.stages(cut_ns)
    assert list(stages) == ["detection", "withdrawal", "fib", "first-packet"]
    fib = stages["fib"]
    assert fib.end_ns - fib.start_ns > DELAY_S * 1e9 * 0.99
    assert fib.start_ns == stages["withdrawal"].end_ns == told()[0]
