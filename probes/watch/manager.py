"""The joined timeline of a lab: wires overheard, netlink listened to, nodes' own events taken, in one order on one clock.

It knows nodes, interfaces and paths as plain values, never a lab; it says what happened and judges nothing."""

from __future__ import annotations

import os
import selectors
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from probes.child import Child, ProbeError, Started
from probes.given_back import give_back
from probes.watch.drops import Drops, HandedDrop
from probes.watch.event import TimelineEvent
from probes.watch.follow import Follower
from probes.watch.gaps import Gaps
from probes.watch.handed import Handed, Sockets
from probes.watch.journal import Entry, Kind, Reader
from probes.watch.listener import PULSE_NS, RECEIVE_BUFFER, Plan
from probes.watch.overheard import Ends, Heard, Overheard

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECT_S = 0.25
STOOD_STILL_NS = 50_000_000
"""A listener that was away for longer places events worse than a BFD interval, and says so."""

SILENT_NODE_NS = 10_000_000_000
"""A node that has its socket's place and does not listen on it for so long is a gap; a restart is shorter."""


class FrameReader(Protocol):
    """What the wires overheard: packets since the last call, and how many were lost since it was opened."""

    def read(self) -> Sequence[Heard]: ...
    def lost(self) -> int: ...


def _nothing() -> Mapping[str, Path]:
    return {}


class Watch(Started):
    """Watches from `start` to `stop`. A context manager.

    `nodes` are the namespaces by node's name; `ends` says where an interface index, unique in the lab, belongs.
    `frames` is None where no wire can be overheard: then there are no events of BFD and BGP, and `gaps` says so.
    `sockets` tells which nodes hand over events now, and by which path they are reached (a dead node is not in it); it
    is asked up to four times a second, so it should look up no more than a file each; it may raise.
    """

    def __init__(
        self,
        directory: Path,
        nodes: Mapping[str, Path],
        ends: Ends,
        frames: FrameReader | None = None,
        sockets: Sockets = _nothing,
        *,
        receive_buffer: int = RECEIVE_BUFFER,
    ) -> None:
        self._directory = directory
        self._journal = directory / "netlink.journal"
        self._nodes = dict(nodes)
        self._frames = frames
        self._receive_buffer = receive_buffer
        self._lock = threading.Lock()
        self._overheard = Overheard(ends)
        self._followers = [Follower(node, ends) for node in self._nodes]
        self._handed = Handed(sockets)
        self._entries = Reader()
        self._gaps = Gaps()
        self._events: list[TimelineEvent] = []
        self._drops = Drops()
        self._read = self._lost = self._pulse_ns = 0
        self._looked_ns = self._ring_ns = 0
        self._stopped = False
        self._child: Child | None = None
        self._thread: threading.Thread | None = None
        self._wake: int | None = None

    def start(self, deadline_s: float = 10.0) -> None:
        """Returns when no later event will be missed. Raises ProbeError with the listener's own complaint."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._journal.write_bytes(b"")
        plan = self._directory / "watch.plan"
        paths = tuple(map(str, self._nodes.values()))
        plan.write_bytes(msgspec.json.encode(Plan(paths, str(self._journal), self._receive_buffer)))
        argv = [sys.executable, "-m", "probes.watch", str(plan)]
        # In our own namespace: a process in a node's would be killed with the node.
        here, log = Path("/proc/self/ns/net"), self._directory / "watch.log"
        self._child = Child(argv, here, log, {"PYTHONPATH": str(REPOSITORY)})
        try:
            self._child.wait_ready(deadline_s, lambda: "the state of every node's interfaces, neighbours and addresses")
        except ProbeError as error:
            raise ProbeError(f"netlink listener: {error}") from error
        self._pulse_ns = self._looked_ns = self._ring_ns = time.monotonic_ns()
        if self._frames is None:
            self._gaps.add(0, 1 << 63, "no wire is overheard: BFD and BGP are not in the timeline")
        self._collect()
        awake, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, args=(awake,), name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the listener and lets go of the nodes; what was seen stays readable."""
        if self._wake is not None:
            os.close(self._wake)
            self._wake = None
        if self._thread is not None:
            self._thread.join()
        if self._child is not None and self._child.alive():
            self._child.stop()
        with self._lock:
            self._collect()
            self._handed.close()
            self._frames = None
            self._stopped = True

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ProbeError("the watch was not started")
        return self._child.pid

    def alive(self) -> bool:
        """Whether the listener exists. A stopped one does: see heartbeat_age_ns."""
        return self._child is not None and self._child.alive()

    def heartbeat_age_ns(self) -> int:
        """Time since the listener last wrote its pulse (every 100 ms when it is well)."""
        self._catch_up()
        return time.monotonic_ns() - self._pulse_ns

    def events(self, t0_ns: int, t1_ns: int) -> list[TimelineEvent]:
        """Everything that is known to have happened with a stamp in [t0, t1), in order of stamps.

        What happened just before the call may not have been read yet: ask again a moment after `t1`.
        """
        self._catch_up()
        with self._lock:
            return sorted((e for e in self._events if t0_ns <= e.t_ns < t1_ns), key=lambda e: e.t_ns)

    def drops(self, t0_ns: int, t1_ns: int) -> list[HandedDrop]:
        """What nodes say they dropped, where some packet of it may have been dropped in [t0, t1); in order of their first.

        A node tells in summary, some 100 ms later: ask again a moment after `t1`.
        """
        self._catch_up()
        with self._lock:
            return self._drops.between(t0_ns, t1_ns)

    def gaps(self, t0_ns: int, t1_ns: int) -> list[str]:
        """One sentence for each way in which the events of [t0, t1) may be incomplete or badly placed; [] if none."""
        self._catch_up()
        with self._lock:
            found = self._gaps.between(t0_ns, t1_ns)
            silent = self._pulse_ns + PULSE_NS + STOOD_STILL_NS
            if silent < min(t1_ns, self._looked_ns):
                found.append("the netlink listener ended or stands still: routes, links and neighbours are missing")
            for node, (since_ns, why) in self._handed.failing.items():
                if min(t1_ns, self._looked_ns) - max(t0_ns, since_ns) > SILENT_NODE_NS:
                    found.append(f"{node} does not hand over its events: {why}")
            for node, count in self._handed.malformed.items():
                if count > 1:
                    found.append(f"{node} handed over {count} lines that cannot be used so far")
            return found

    def forget(self, before_ns: int) -> None:
        """Lets go of what happened before, in memory and in the journal."""
        with self._lock:
            self._collect()
            self._events = [event for event in self._events if event.t_ns >= before_ns]
            self._drops.forget(before_ns)
            self._gaps.forget(before_ns)
            self._overheard.forget(before_ns)
            give_back(self._journal, self._read)

    def _catch_up(self) -> None:
        with self._lock:
            self._collect()

    def _serve(self, awake: int) -> None:
        """Takes what comes in, so that no buffer fills; none of it is stamped here, so nothing here is in a hurry."""
        try:
            while True:
                with selectors.DefaultSelector() as selector:
                    selector.register(awake, selectors.EVENT_READ)
                    with self._lock:
                        for fd in self._handed.filenos():
                            selector.register(fd, selectors.EVENT_READ)
                    ready = selector.select(COLLECT_S)
                if any(key.fd == awake for key, _ in ready):
                    return
                self._catch_up()
        finally:
            os.close(awake)

    def _collect(self) -> None:
        if self._stopped:
            return
        self._looked_ns = now = time.monotonic_ns()
        self._take_frames(now)
        with suppress(FileNotFoundError), self._journal.open("rb") as journal:
            journal.seek(self._read)
            raw = journal.read()
            self._read += len(raw)
            for entry in self._entries.feed(raw):
                self._take_entry(entry)
        taken = self._handed.step()
        self._events += taken.events
        for complaint in taken.complaints:
            self._gaps.add(now, now, complaint)
        if forgotten := self._drops.add(taken.drops):
            begin, end = min(drop.first_ns for drop in forgotten), max(drop.last_ns for drop in forgotten)
            self._gaps.add(begin, end, "nodes handed over more drops than are kept: the oldest lines are forgotten")

    def _take_frames(self, now: int) -> None:
        if self._frames is None:
            return
        try:
            packets, lost = self._frames.read(), self._frames.lost()
        except OSError as error:
            self._gaps.add(self._ring_ns, now, f"the wires cannot be overheard: {error}")
            return
        for heard in packets:
            before = self._overheard.problems.copy()
            self._events += self._overheard.add(heard)
            for problem in self._overheard.problems - before:
                self._gaps.add(heard.t_ns, heard.t_ns, problem)
        if lost > self._lost:
            self._gaps.add(self._ring_ns, now, f"{lost - self._lost} packets of routers were lost: the ring was full")
        self._lost, self._ring_ns = lost, now

    def _take_entry(self, entry: Entry) -> None:
        if entry.kind is Kind.PULSE:
            late = entry.since_ns
            if late > STOOD_STILL_NS:
                self._gaps.add(
                    self._pulse_ns,
                    entry.t_ns,
                    f"the netlink listener stood still for {late / 1e6:.0f} ms: stamps of routes and links are late",
                )
            self._pulse_ns = entry.t_ns
        elif entry.kind is Kind.OVERFLOW:
            node = list(self._nodes)[entry.node]
            self._gaps.add(entry.since_ns, entry.t_ns, f"netlink of {node} overflowed: routes or links are missing")
        else:
            try:
                self._events += self._followers[entry.node].add(entry)
            except ValueError as error:
                self._gaps.add(entry.t_ns, entry.t_ns, f"netlink of {list(self._nodes)[entry.node]}: {error}")
