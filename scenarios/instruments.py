"""The probers and long-lived connections of a run, one pair per vantage, started once and read per scenario."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from probes.connections import Connections
from probes.flows import ANSWERED, FlowWindow, Ints
from probes.load import LoadError, LoadRun, Target
from probes.prober import Prober
from probes.trust import LAB_LATE_LIMIT_NS
from probes.wakeups import Wakeups
from probes.watch import Watch
from scenarios.answers import source_for
from scenarios.boot import Booted
from scenarios.collected import Collected
from scenarios.dropped import kernel_drops
from scenarios.own_cpu import OwnCpu
from scenarios.schedule import HEARTBEAT_NS, INTERVAL_NS, MOST_THINNED, Reached, connected_to, flows_of, heartbeat_ns
from topologies.image.native import compile_program
from topologies.linux.private import discard, in_memory
from topologies.runtime import RuntimeFailure

CONNECTIONS_PER_VANTAGE, MOST_CONNECTIONS = 100, 2000
OPENED_PER_S, OPENED_WITHIN_S = 100, 5
"""Connections of a vantage are opened at this pace, or at one that opens all of them within this time."""
LOAD_USERS = 10
LOAD_PER_S = 20.0
CONNECTED_S = 30.0
CALM_NS = 2_000_000_000
CALM_SHARE = 0.25
"""A host has CPU to spare while lateness (p99) stays within this share of its limit, looked at for so long."""
CALM_ANSWER_NS = 30_000_000
"""And while answers (p99) take no longer than this beyond what they usually (p50) take."""
CALM_SLOWEST_NS = 100_000_000
"""And none of them longer than this: somebody in the lab who is kept from running for so long may be a router next time."""
NATIVE = Path(__file__).resolve().parents[1] / "probes/native"
PROBER, WAKEUPS = NATIVE / "prober.c", NATIVE / "wakeups.c"


@dataclass
class Instruments:
    """Probers and connections by vantage, `held` of these each. A context manager; nothing of it is left when it closes."""

    booted: Booted
    locustfile: Path | None = None
    held: int = CONNECTIONS_PER_VANTAGE
    probers: dict[str, Prober] = field(default_factory=dict)
    connections: dict[str, Connections] = field(default_factory=dict)
    load: LoadRun | None = None
    watch: Watch | None = None
    dropped: Collected | None = None
    wakeups: Wakeups | None = None
    thinned: int = 1
    _own: OwnCpu = field(default_factory=OwnCpu)
    _unloaded: str = ""
    _spent_s: float = 0.0
    _known: dict[str, list[Reached]] = field(default_factory=dict)

    def __enter__(self) -> Instruments:
        self._directory = self.booted.lab.places.scratch
        self._stack = ExitStack()
        try:
            in_memory(self._directory)
            self._stack.callback(discard, self._directory)
            vantages = [v.name for v in self.booted.topology.nodes_with_role("client")]
            self._start_watch()
            # Locust first: it takes two seconds of CPU to begin, and from then on gives way to the probers.
            self._start_load(vantages)
            for number, vantage in enumerate(vantages):
                self._start(vantage, number)
            self._start_wakeups()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _source(self, vantage: str, vip: str, port: int) -> str:
        source = source_for(self.booted.lab.netns(vantage), vip, port)
        if source is None:
            raise RuntimeFailure(f"vantage {vantage} has no route to {vip}")
        return source

    @property
    def interval_ns(self) -> int:
        """Between two probes of a flow: how exactly losses are told."""
        return INTERVAL_NS * self.thinned

    @property
    def slower_ns(self) -> int:
        """By how much fewer heartbeats of many connections come later than those of a few."""
        return max(0, heartbeat_ns(self.held) - HEARTBEAT_NS)

    def _reached(self, vantage: str) -> list[Reached]:
        """The services that answered this vantage at boot, each with each of its addresses."""
        return [
            Reached(service, vip, self._source(vantage, vip, service.port))
            for service in self.booted.contract.services.values()
            for vip in service.vip
            if (vantage, service.name, vip) not in self.booted.unreached
        ]

    def _start(self, vantage: str, number: int) -> None:
        reached = self._known[vantage] = self._reached(vantage)
        self._start_prober(vantage, number, reached)
        self._start_connections(vantage, reached)

    def _start_prober(self, vantage: str, number: int, reached: Sequence[Reached]) -> None:
        flows = flows_of(vantage, number, reached, self.thinned)
        if flows:
            netns, directory = self.booted.lab.netns(vantage), self._directory / f"{vantage}-{self.thinned}"
            prober = Prober(compile_program(PROBER), netns, flows, directory)
            self.probers[vantage] = self._stack.enter_context(prober)

    def thin(self) -> bool:
        """Has every flow send half as often, on a host that cannot carry more; False where no less would be of use.

        Every probe crosses a dozen interfaces, each of which takes CPU from the routers. Raises ProbeError.
        """
        if self.thinned >= MOST_THINNED:
            return False
        self.thinned *= 2
        for number, (vantage, prober) in enumerate(list(self.probers.items())):
            self._spent_s += _cpu_seconds(prober.pid)
            prober.stop()
            self._start_prober(vantage, number, self._known[vantage])  # whose routes may be away just now
        return True

    def _start_connections(self, vantage: str, reached: Sequence[Reached]) -> None:
        targets = connected_to(reached)
        if targets:
            held = Connections(
                self.booted.lab.netns(vantage),
                self._directory / vantage,
                vantage=vantage,
                targets=targets,
                count=self.held,
                interval_ns=heartbeat_ns(self.held),
                attempts_per_s=max(OPENED_PER_S, self.held // OPENED_WITHIN_S),
            )
            self._stack.callback(held.stop)
            held.start(CONNECTED_S)
            self.connections[vantage] = held

    def _start_watch(self) -> None:
        """Routing protocols, kernels' routes and nodes' own events, on one timeline."""
        lab, events = self.booted.lab, self.booted.contract.events
        ends = {
            end.number: (end.node, end.interface, peer.node) for pair in lab.pairs() for end, peer in (pair, pair[::-1])
        }
        self.watch = Watch(
            self._directory / "watch",
            {node: lab.netns(node) for node in lab.topology.nodes},
            ends,
            self._stack.enter_context(lab.wire.hear()),
            lambda: lab.sockets(events) if events else {},
        )
        self._stack.enter_context(self.watch)
        self.dropped = self._stack.enter_context(
            Collected(kernel_drops({node: lab.netns(node) for node in lab.topology.nodes}))
        )

    def _start_wakeups(self) -> None:
        """Whether the lab gets its CPU is seen from among its processes."""
        wakeups = Wakeups(compile_program(WAKEUPS), self._directory / "wakeups")
        self._stack.enter_context(wakeups)
        self.booted.lab.take_in(wakeups.pid)
        self.wakeups = wakeups

    def _start_load(self, vantages: Sequence[str]) -> None:
        """Locust, from every vantage that some HTTP service answered, to those of its addresses that did."""
        contract, lab = self.booted.contract, self.booted.lab
        unreached = {
            (vantage, vip) for vantage, name, vip in self.booted.unreached if contract.services[name].protocol == "http"
        }
        targets = tuple(
            Target(s.name, vip, s.port, s.host or vip, s.path or "/")
            for s in contract.services.values()
            if s.protocol == "http"
            for vip in s.vip
        )
        served = [v for v in vantages if any((v, target.vip) not in unreached for target in targets)]
        if served:
            self.load = LoadRun(
                self._directory / "load",
                {v: lab.netns(v) for v in served},
                targets,
                users=LOAD_USERS,
                rate_per_s=LOAD_PER_S,
                locustfile=self.locustfile,
                unreached=tuple(unreached),
            )
            try:
                self._stack.enter_context(self.load)
            except LoadError as error:
                self.load, self._unloaded = None, str(error)

    def missing(self) -> str:
        """What does not measure though it should, and without which budgets can be judged all the same; empty when nothing is."""
        return self._unloaded or (self.load.missing() if self.load else "")

    def cpu_seconds(self) -> float:
        """CPU seconds of the instrument's processes so far, by their own accounting in /proc."""
        pids = [p.pid for p in self.probers.values()] + [c.pid for c in self.connections.values()]
        pids += self.load.pids.values() if self.load else []
        pids += [self.watch.pid] if self.watch else []
        pids += [self.wakeups.pid] if self.wakeups else []
        return self._spent_s + sum(_cpu_seconds(pid) for pid in pids)

    def begin_renewal(self) -> None:
        """Has the long-lived connections opened anew meanwhile; `renew` waits for them."""
        for held in self.connections.values():
            if held.alive():
                held.begin_renewal()

    def renew(self) -> None:
        """Long-lived connections opened anew, as before every fault: those that were opened during the last one
        would else carry it on. What earlier trials left is let go of. Raises ProbeError."""
        self.forget(time.monotonic_ns())
        with ThreadPoolExecutor(max(1, len(self.connections))) as pool:
            for _ in pool.map(Connections.renew, self.connections.values()):
                pass

    def forget(self, before_ns: int) -> None:
        """Lets go of what was over by then: a trial that is concluded needs no memory, however many follow."""
        for held in self.connections.values():
            held.forget(before_ns)
        for part in (self.load, self.watch, self.dropped):
            if part is not None:
                part.forget(before_ns)

    def unsteady(self, since_ns: int) -> str:
        """Empty when since then no probe was lost and every place for a connection is filled; else what is wrong."""
        wrong = [f"probes of {v} are lost" for v, prober in self.probers.items() if not prober.quiet_since(since_ns)]
        for vantage, connections in self.connections.items():
            if connections.open_count() < connections.count:
                wrong.append(f"{connections.open_count()} of {connections.count} connections of {vantage} are up")
        return "; ".join(wrong)

    def restless(self) -> str:
        """Empty when for some seconds probes left, answers came, and the lab's processes and this one ran, as punctually as on a
        host with CPU to spare."""
        now = time.monotonic_ns()
        late, slow = {}, []
        for vantage, prober in self.probers.items():
            window = prober.window(now - CALM_NS, now)
            if (p99 := _p99(window.lateness())) > CALM_SHARE * self.interval_ns:
                late[f"probes of {vantage} leave"] = p99
            p99, slowest = _answers_late_ns(window)
            if p99 > CALM_ANSWER_NS:
                late[f"answers to {vantage} come"] = p99
            elif slowest > CALM_SLOWEST_NS:
                slow.append(f"the slowest answer to {vantage} comes {slowest / 1e6:.1f} ms late")
        if self.wakeups and self.wakeups.alive():
            p99 = _p99(self.wakeups.lateness(now - CALM_NS, now))
            if p99 > CALM_SHARE * LAB_LATE_LIMIT_NS:
                late["the lab's processes run"] = p99
        if starved := self._own.starved():
            slow.append(starved)
        return "; ".join([*(f"{what} {p99 / 1e6:.1f} ms late (p99)" for what, p99 in late.items()), *slow])

    def last_impaired_ns(self, since_ns: int) -> Mapping[str, int]:
        """Vantage → when its last impaired probe was due; absent when none was."""
        found = {v: int(p.last_impaired_ns(since_ns).max(initial=-1)) for v, p in self.probers.items()}
        return {v: t for v, t in found.items() if t >= 0}


def _p99(lateness: Ints) -> int:
    return int(np.percentile(lateness, 99)) if lateness.size else 0


def _answers_late_ns(window: FlowWindow) -> tuple[int, int]:
    """How much longer than usual answers took: the slowest hundredth at least, and the slowest of all."""
    answers = [trace.answer_ns()[trace.state == ANSWERED] for trace in window.flows]
    taken = np.concatenate(answers) if answers else np.zeros(0, np.int64)
    if not taken.size:
        return 0, 0
    usual = np.median(taken)
    return int(np.percentile(taken, 99) - usual), int(taken.max() - usual)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process, proc(5); 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class QuietFor:
    """Sustained convergence (RFC 6412 §3.7.5): no impairment for so long, counted from the last impaired probe."""

    def __init__(self, instruments: Instruments, since_ns: int, quiet_ns: int) -> None:
        self._instruments = instruments
        self._since = since_ns
        self._quiet = quiet_ns

    def missing(self) -> str:
        last = self._instruments.last_impaired_ns(self._since)
        now = time.monotonic_ns()
        start = max([self._since, *last.values()])
        if now - start < self._quiet + 300_000_000:
            return f"no {self._quiet / 1e9:g} s without an impaired probe yet" + (
                f" ({', '.join(sorted(last))})" if last else ""
            )
        return ""
