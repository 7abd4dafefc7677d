"""A watched kernel: what is done to a namespace is in the timeline, in order, when it was done; what is missing is told."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from probes.child import ProbeError
from probes.watch import TimelineEvent, Watch
from probes.watch.follow import Follower
from probes.watch.journal import Entry, Kind
from tests.probes.conftest import wait_until
from tests.probes.watch import made
from tests.probes.watch.test_handed import Node, line
from topologies.linux import netns

pytestmark = pytest.mark.lab
ENDS = {50: ("r", "eth1", "b"), 51: ("b", "eth1", "r")}
VIP = "203.0.113.10"


@dataclass
class Ring:
    """What a lab's wires would hand over."""

    packets: list[made.Heard]
    full: int = 0
    gone: bool = False

    def read(self) -> list[made.Heard]:
        if self.gone:
            raise OSError(errno.EBADF, "the lab is gone")
        taken, self.packets = self.packets, []
        return taken

    def lost(self) -> int:
        return self.full


@pytest.fixture
def namespaces(scratch: Path) -> Iterator[dict[str, Path]]:
    """r and b with a veth between them, up, 10.0.0.1 and 10.0.0.2."""
    paths = {name: scratch / name for name in "rb"}
    for path in paths.values():
        netns.create(path)
    ip(paths["r"], "link add eth1 index 50 type veth peer name veth-b index 51")
    handle = os.open(paths["b"], os.O_RDONLY)
    subprocess.run(
        ["nsenter", f"--net={paths['r']}", "ip", "link", "set", "veth-b", "netns", f"/proc/{os.getpid()}/fd/{handle}"],
        check=True,
    )
    os.close(handle)
    ip(paths["b"], "link set veth-b name eth1")
    for name, address in (("r", "10.0.0.1/24"), ("b", "10.0.0.2/24")):
        ip(paths[name], f"address add {address} dev eth1")
        ip(paths[name], "link set eth1 up")
    yield paths
    for path in paths.values():
        netns.remove(path)


def ip(namespace: Path, command: str) -> int:
    """Runs it and returns the instant, CLOCK_MONOTONIC ns, before which it had not begun."""
    before = time.monotonic_ns()
    argv = ["nsenter", f"--net={namespace}", "ip", *command.split()]
    subprocess.run(argv, check=True, capture_output=True, text=True)
    return before


@pytest.fixture
def ring() -> Ring:
    return Ring([])


@pytest.fixture
def watch(namespaces: dict[str, Path], scratch: Path, ring: Ring) -> Iterator[Watch]:
    sockets = {"r": scratch / "events.sock"}
    with Watch(scratch / "watch", namespaces, ENDS, ring, lambda: sockets) as opened:
        yield opened


def seen(watch: Watch, since_ns: int, source: str, what: str, **more: str) -> TimelineEvent:
    """The event, once it is there."""

    def found() -> list[TimelineEvent]:
        events = watch.events(since_ns, time.monotonic_ns())
        return [
            e
            for e in events
            if (e.source, e.what) == (source, what) and all(getattr(e, k) == v for k, v in more.items())
        ]

    wait_until(lambda: bool(found()), f"{source} {what} {more}")
    return found()[0]


def test_routes_links_and_neighbours_are_seen_when_they_change(watch: Watch, namespaces: dict[str, Path]) -> None:
    r = namespaces["r"]
    began = ip(r, f"route add {VIP}/32 via 10.0.0.2 proto bgp")
    added = seen(watch, began, "fib", "replace", prefix=f"{VIP}/32")
    assert (added.node, added.peer, added.interface, added.detail) == ("r", "b", "eth1", "via 10.0.0.2 eth1, by bgp")
    assert began <= added.t_ns <= time.monotonic_ns()
    ip(r, f"route replace unreachable {VIP}/32 table 77")
    assert seen(watch, began, "fib", "replace", detail="unreachable, table 77, by boot").prefix == f"{VIP}/32"
    ip(r, f"route del {VIP}/32")
    seen(watch, began, "fib", "delete", prefix=f"{VIP}/32")
    ip(r, "neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth1")
    seen(watch, began, "neighbour", "reachable", detail="10.0.0.9 at 02:00:00:00:00:09")
    ip(r, "neigh del 10.0.0.9 dev eth1")
    seen(watch, began, "neighbour", "delete", peer="b")
    ip(r, "address add 10.0.9.1/24 dev eth1")
    seen(watch, began, "link", "address-added", prefix="10.0.9.1/24")
    cut = ip(namespaces["b"], "link set eth1 down")
    assert seen(watch, cut, "link", "down", node="r").detail == "carrier lost"
    assert seen(watch, cut, "link", "down", node="b").detail == "set down"
    ip(namespaces["b"], "link set eth1 up")
    seen(watch, cut, "link", "up", node="r", peer="b")
    events = watch.events(began, time.monotonic_ns())
    assert events == sorted(events, key=lambda e: e.t_ns)
    assert all(e.acc_ns > 0 for e in events)
    assert watch.gaps(began, time.monotonic_ns()) == []
    assert watch.alive()


def test_an_event_happened_within_its_accuracy(watch: Watch, namespaces: dict[str, Path]) -> None:
    """The interval that a stamp and its accuracy span meets the one in which the command ran, each of twenty times."""
    for number in range(20):
        before = ip(namespaces["r"], f"route add 198.51.100.{number}/32 via 10.0.0.2")
        after = time.monotonic_ns()
        event = seen(watch, before, "fib", "replace", prefix=f"198.51.100.{number}/32")
        assert event.t_ns >= before
        assert event.t_ns - event.acc_ns <= after


def test_next_hop_groups_that_change_are_told(watch: Watch, namespaces: dict[str, Path]) -> None:
    began = time.monotonic_ns()
    for number in (1, 2):
        ip(namespaces["r"], f"nexthop add id {number} via 10.0.0.{number + 1} dev eth1")
    ip(namespaces["r"], "nexthop add id 10 group 1/2")
    ip(namespaces["r"], "nexthop replace id 10 group 1")
    assert seen(watch, began, "fib", "replace").detail == "next-hop group 10 of 1, had 2"


def test_all_sources_are_one_ordered_timeline(
    watch: Watch, namespaces: dict[str, Path], scratch: Path, ring: Ring
) -> None:
    node = Node(scratch / "events.sock")
    client = node.client()
    began = time.monotonic_ns()
    ring.packets.append(made.heard(made.udp(made.bfd(made.DOWN, 1)), t_ns=began + 1, index=50))
    client.sendall(line(t_ns=time.monotonic_ns(), what="table"))
    ip(namespaces["r"], f"route add {VIP}/32 via 10.0.0.2")
    seen(watch, began, "fib", "replace")
    seen(watch, began, "l4", "table")
    assert [e.source for e in watch.events(began, time.monotonic_ns())] == ["bfd", "l4", "fib"]
    record = watch.events(began, began + 2)[0].record("kill-l4")
    assert (record.kind, record.node, record.t_ns, record.scenario) == ("event", "r", began + 1, "kill-l4")
    client.close()
    node.listener.close()


def test_drops_are_kept_apart_from_events_and_found_by_their_time(watch: Watch, scratch: Path) -> None:
    node = Node(scratch / "events.sock")
    with node.client() as client:
        since = time.monotonic_ns()
        told = {"what": "drop", "reason": "no_route", "count": 2, "first_ns": since - 50, "last_ns": since}
        client.sendall(line(**told) + line(t_ns=since, what="table"))
        seen(watch, since, "l4", "table")
    now = time.monotonic_ns()
    assert [(d.node, d.reason, d.count, d.flow) for d in watch.drops(since, now)] == [("r", "no_route", 2, None)]
    assert watch.drops(since + 1, now) == watch.drops(1, since - 50) == []
    assert "drop" not in {e.what for e in watch.events(0, now)}
    node.listener.close()


def test_a_full_ring_and_unreadable_packets_are_gaps(watch: Watch, ring: Ring) -> None:
    began = time.monotonic_ns()
    assert watch.gaps(began, began) == []
    ring.full = 3
    ring.packets.append(made.heard(b"\x90", t_ns=began, index=50))
    told = watch.gaps(began, time.monotonic_ns())
    assert any("3 packets of routers were lost" in gap for gap in told)
    assert any("r eth1" in gap for gap in told)


def test_a_listener_that_stood_still_and_one_that_died_are_gaps(watch: Watch) -> None:
    began = time.monotonic_ns()
    os.kill(watch.pid, signal.SIGSTOP)
    wait_until(lambda: watch.heartbeat_age_ns() > 300_000_000, "silence")
    assert any("stands still" in gap for gap in watch.gaps(began, time.monotonic_ns()))
    os.kill(watch.pid, signal.SIGCONT)
    wait_until(lambda: any("stood still for" in gap for gap in watch.gaps(began, time.monotonic_ns())), "its own word")
    os.kill(watch.pid, signal.SIGKILL)
    wait_until(lambda: not watch.alive(), "its end")
    wait_until(lambda: any("ended" in gap for gap in watch.gaps(began, time.monotonic_ns())), "the gap")


def test_an_overflow_is_a_gap_of_its_node(namespaces: dict[str, Path], scratch: Path, ring: Ring) -> None:
    """A stopped listener's socket is filled: the kernel drops, and the listener hears of it when it goes on."""
    batch = scratch / "batch"
    batch.write_text("\n".join(f"route replace 198.51.{i >> 8}.{i & 255}/32 via 10.0.0.1" for i in range(2048)))
    with Watch(scratch / "watch", namespaces, ENDS, ring, receive_buffer=1 << 16) as watch:
        began = time.monotonic_ns()
        os.kill(watch.pid, signal.SIGSTOP)
        ip(namespaces["b"], f"-batch {batch}")
        os.kill(watch.pid, signal.SIGCONT)

        def told() -> str:
            return " ".join(watch.gaps(began, time.monotonic_ns()))

        wait_until(lambda: "netlink of b overflowed" in told(), "the overflow")
        assert "netlink of r overflowed" not in told()
        later = ip(namespaces["b"], "route add 203.0.113.10/32 via 10.0.0.1")
        seen(watch, later, "fib", "replace", prefix="203.0.113.10/32")


def test_wires_that_are_gone_are_a_gap_and_the_rest_goes_on(
    watch: Watch, namespaces: dict[str, Path], ring: Ring
) -> None:
    began = time.monotonic_ns()
    ring.gone = True
    assert "the wires cannot be overheard: [Errno 9] the lab is gone" in watch.gaps(began, time.monotonic_ns())[0]
    ip(namespaces["r"], f"route add {VIP}/32 via 10.0.0.2")
    seen(watch, began, "fib", "replace")


def test_what_was_seen_stays_readable_after_the_end(namespaces: dict[str, Path], scratch: Path, ring: Ring) -> None:
    with Watch(scratch / "watch", namespaces, ENDS, ring) as watch:
        began = ip(namespaces["r"], f"route add {VIP}/32 via 10.0.0.2")
        ended = time.monotonic_ns()
    assert not watch.alive()
    assert [e.what for e in watch.events(began, time.monotonic_ns()) if e.source == "fib"] == ["replace"]
    assert watch.gaps(began, ended) == []


def test_a_namespace_that_is_not_there_is_said_at_the_start(namespaces: dict[str, Path], scratch: Path) -> None:
    watch = Watch(scratch / "watch", namespaces | {"x": scratch / "nowhere"}, ENDS)
    with pytest.raises(ProbeError, match="nowhere"):
        watch.start()


def test_without_wires_that_is_said(namespaces: dict[str, Path], scratch: Path) -> None:
    with Watch(scratch / "watch", namespaces, ENDS) as watch:
        now = time.monotonic_ns()
        assert watch.gaps(now, now) == ["no wire is overheard: BFD and BGP are not in the timeline"]


def test_messages_that_cannot_be_read_are_refused_by_the_follower() -> None:
    with pytest.raises(ValueError, match="netlink"):
        Follower("r", ENDS).add(Entry(Kind.NEWS, 0, 2, 1, b"\0" * 5))
