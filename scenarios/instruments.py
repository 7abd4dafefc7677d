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
from typing import Literal

import numpy as np

from probes.connections import Connections
from probes.flows import ANSWERED, FORWARDING_DELAY_THRESHOLD_NS, FlowWindow, Ints
from probes.load import LoadError, LoadRun, Target
from probes.prober import Prober
from probes.requests import Requester
from probes.trust import HEARTBEAT_LIMIT_NS, LAB_LATE_LIMIT_NS
from probes.wakeups import Wakeups
from probes.watch import Watch
from scenarios.answers import source_for
from scenarios.boot import Booted
from scenarios.collected import Collected
from scenarios.dropped import kernel_drops
from scenarios.requested import requested, streamed
from scenarios.schedule import (
    INTERVAL_NS,
    MOST_THINNED,
    Reached,
    connected_to,
    flows_of,
    heartbeat_ns,
    shortest_idle_ns,
    thinned_at_first,
)
from topologies.image.native import compile_program
from topologies.linux.private import discard, in_memory
from topologies.runtime import RuntimeFailure

CONNECTIONS_PER_VANTAGE, MOST_CONNECTIONS = 100, 2000
OPENED_PER_S, OPENED_WITHIN_S = 25, 5
"""Connections of a vantage are opened at this pace, or at one that opens all of them within this time: handshakes by the hundred at
once keep a small host's routers from BFD's next packet."""
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
PROBER, WAKEUPS, REQUESTER = NATIVE / "prober.c", NATIVE / "wakeups.c", NATIVE / "requester.c"
REQUESTER_LIBRARIES = ("ssl", "crypto", "nghttp2")
GRACE_NS = 300_000_000
"""An answer may be so long on its way before its absence counts as a loss, while a fault stands."""
GRACES_NS = (GRACE_NS, 600_000_000, 1_200_000_000, FORWARDING_DELAY_THRESHOLD_NS)
"""Services that take longer at rest are given longer: no request has failed before its 2 s are over."""
SLOW_SHARE = 0.5
"""At rest the slowest answers take this share of the time that is given, at most."""
LEARN_NS = 2_500_000_000
ANSWERING_NS = 2_500_000_000
"""Who answered in this time is one that carries traffic."""


@dataclass
class Instruments:
    """Probers and connections by vantage, `held` of these each. A context manager; nothing of it is left when it closes."""

    booted: Booted
    locustfile: Path | None = None
    held: int = CONNECTIONS_PER_VANTAGE
    probers: dict[str, Prober] = field(default_factory=dict)
    connections: dict[str, Connections] = field(default_factory=dict)
    requesters: dict[str, Requester] = field(default_factory=dict)
    load: LoadRun | None = None
    watch: Watch | None = None
    dropped: Collected | None = None
    wakeups: Wakeups | None = None
    thinned: int = 1
    grace_ns: int = GRACE_NS
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
            self._known = {vantage: self._reached(vantage) for vantage in vantages}
            self._begin_thinned(vantages)
            for number, vantage in enumerate(vantages):
                self._start_prober(vantage, number, self._known[vantage])
                self._start_requester(vantage, number, self._known[vantage])
            self._start_connections(vantages)
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
    def cores(self) -> int:
        """Of those that the host has, which this process may use."""
        return len(os.sched_getaffinity(0))

    @property
    def interval_ns(self) -> int:
        """Between two probes of a flow: how exactly losses are told."""
        return INTERVAL_NS * self.thinned

    def _reached(self, vantage: str) -> list[Reached]:
        """The services that answered this vantage at boot, each with each of its addresses."""
        answered = self.booted.answering.answered(self.booted.contract)
        return [
            Reached(service, vip, self._source(vantage, vip, service.port))
            for service in self.booted.contract.services.values()
            for vip in service.vip
            if (vantage, service.name, vip) in answered
        ]

    def _begin_thinned(self, vantages: Sequence[str]) -> None:
        """As densely as the host's cores carry: what starves at its start flaps, and is not what it was before."""
        flows = [f for n, v in enumerate(vantages) for f in flows_of(v, n, self._known[v], no_ping=self._no_ping(v))]
        self.thinned = thinned_at_first(flows, self.cores)

    def _no_ping(self, vantage: str) -> set[str]:
        return {vip for one, vip in self.booted.no_ping if one == vantage}

    def _start_prober(self, vantage: str, number: int, reached: Sequence[Reached]) -> None:
        flows = flows_of(vantage, number, reached, self.thinned, self._no_ping(vantage))
        if flows:
            netns, directory = self.booted.lab.netns(vantage), self._directory / f"{vantage}-{self.thinned}"
            prober = Prober(compile_program(PROBER), netns, flows, directory)
            self.probers[vantage] = self._stack.enter_context(prober)

    def _start_requester(self, vantage: str, number: int, reached: Sequence[Reached]) -> None:
        nameless = {(service, vip) for v, service, vip in self.booted.without_identity if v == vantage}
        series = requested(vantage, number, reached, nameless)
        if series:
            binary = compile_program(REQUESTER, libraries=REQUESTER_LIBRARIES)
            requester = Requester(
                binary, self.booted.lab.netns(vantage), series, self._directory / f"{vantage}-requests"
            )
            self.requesters[vantage] = self._stack.enter_context(requester)

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

    def _start_connections(self, vantages: Sequence[str]) -> None:
        """Of all vantages at a time: each opens its own at its own pace."""
        for vantage in vantages:
            reached = self._known[vantage]
            if targets := connected_to(reached):
                held = self.connections[vantage] = Connections(
                    self.booted.lab.netns(vantage),
                    self._directory / vantage,
                    vantage=vantage,
                    targets=targets,
                    streams=streamed(reached),
                    count=self.held,
                    interval_ns=heartbeat_ns(self.held, self.cores, shortest_idle_ns(reached)),
                    idle_after={(r.vip, r.service.port): r.service.idle_ns for r in reached if r.service.idle_ns},
                    attempts_per_s=max(OPENED_PER_S, self.held // OPENED_WITHIN_S),
                )
                self._stack.callback(held.stop)
        with ThreadPoolExecutor(max(1, len(self.connections))) as pool:
            for _ in pool.map(lambda held: held.start(CONNECTED_S), self.connections.values()):
                pass

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
            (vantage, vip)
            for vantage, name, vip in (*self.booted.unreached, *self.booted.not_asked)
            if contract.services[name].protocol == "http"
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
        pids += [r.pid for r in self.requesters.values()]
        pids += self.load.pids.values() if self.load else []
        pids += [self.watch.pid] if self.watch else []
        pids += [self.wakeups.pid] if self.wakeups else []
        return self._spent_s + sum(_cpu_seconds(pid) for pid in pids)

    def request_seconds(self) -> float:
        """Of these, what new requests took."""
        return sum(_cpu_seconds(r.pid) for r in self.requesters.values())

    def begin_renewal(self) -> None:
        """Has the long-lived connections opened anew meanwhile; `renew` waits for them."""
        for held in self.connections.values():
            if held.alive():
                held.begin_renewal()

    def renew(self, since_ns: int | None = None) -> None:
        """Long-lived connections opened anew, as before every fault: those that were opened during the last one
        would else carry it on. What was over by then (None: by now) is let go of. Raises ProbeError."""
        self.forget(time.monotonic_ns() if since_ns is None else since_ns)
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

    def learn_grace(self) -> None:
        """How long answers are waited for before their absence tells of a loss: by how long they take at rest."""
        now = time.monotonic_ns()
        slowest = 0
        for requester in self.requesters.values():
            for asked in requester.window(now - LEARN_NS, now).traces:
                slowest = max(slowest, int((asked.done - asked.due)[asked.good()].max(initial=0)))
        for prober in self.probers.values():
            for trace in prober.window(now - LEARN_NS, now).flows:
                slowest = max(slowest, int(trace.answer_ns()[trace.state == ANSWERED].max(initial=0)))
        self.grace_ns = next((g for g in GRACES_NS if slowest <= SLOW_SHARE * g), GRACES_NS[-1])

    def unsteady(self, since_ns: int) -> str:
        """Empty when since then no probe was lost and every place for a connection is filled; else what is wrong."""
        wrong = [
            f"probes of {v} are lost"
            for v, prober in self.probers.items()
            if not prober.quiet_since(since_ns, self.grace_ns)
        ]
        wrong += [
            f"requests of {v} fail" for v, r in self.requesters.items() if not r.quiet_since(since_ns, self.grace_ns)
        ]
        return "; ".join(filter(None, (*wrong, self.unfilled())))

    def unfilled(self) -> str:
        """Empty when every place for a connection is filled; else where some are not."""
        return "; ".join(
            f"{held.open_count()} of {held.count} connections of {vantage} are up"
            for vantage, held in self.connections.items()
            if held.open_count() < held.count
        )

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
        return "; ".join([*(f"{what} {p99 / 1e6:.1f} ms late (p99)" for what, p99 in late.items()), *slow])

    def last_losses(self, since_ns: int) -> Mapping[str, int]:
        """Whose loss → when its last lost probe or request was due since then, or its last broken connection waited in vain; absent
        where nothing was lost."""
        found = {f"probes of {v}": p.last_impaired_ns(since_ns, self.grace_ns) for v, p in self.probers.items()}
        found |= {f"requests of {v}": r.last_failed_ns(since_ns, self.grace_ns) for v, r in self.requesters.items()}
        last = {who: int(times.max(initial=-1)) for who, times in found.items()}
        last |= {f"connections of {v}": c.last_break_ns(since_ns) for v, c in self.connections.items()}
        return {who: t for who, t in last.items() if t >= since_ns}

    def asked_ns(self) -> int | None:
        """When something was last asked, by the instruments' own signs of life; None where none of them lives."""
        now = time.monotonic_ns()
        ages = [p.heartbeat_age_ns() for p in self.probers.values() if p.alive()]
        ages += [r.heartbeat_age_ns() for r in self.requesters.values() if r.alive()]
        return max((now - age for age in ages), default=None)

    def missing_sign_of_life(self) -> str:
        """Which of the instruments have ended or are stopped, a sentence; empty where all of them live."""
        named: tuple[tuple[str, Prober | Requester | Connections], ...] = (
            *((f"prober of {v}", p) for v, p in self.probers.items()),
            *((f"requester of {v}", r) for v, r in self.requesters.items()),
            *((f"connector of {v}", c) for v, c in self.connections.items()),
        )
        dead = [who for who, one in named if not one.alive() or one.heartbeat_age_ns() > HEARTBEAT_LIMIT_NS]
        return f"The {', '.join(dead)} has ended or is stopped." if dead else ""

    def ask_idle(self, half: Literal[0, 1]) -> None:
        """Begins to ask half of the idle connections; `unasked` tells who has not answered yet."""
        for held in self.connections.values():
            if held.alive():
                held.ask_idle(half)

    def unasked(self, half: Literal[0, 1]) -> str:
        """Empty when each idle connection of that half has answered or has broken."""
        return "; ".join(filter(None, (held.asked(half) for held in self.connections.values() if held.alive())))

    def answering(self) -> frozenset[str]:
        """The names that answers bore just now."""
        now = time.monotonic_ns()
        found: set[str] = set()
        for prober in self.probers.values():
            window = prober.window(now - ANSWERING_NS, now)
            seen = {int(i) for trace in window.flows for i in np.unique(trace.backend[trace.state == ANSWERED])}
            found |= {window.backends[i] for i in seen if i < len(window.backends)}
        for requester in self.requesters.values():
            asked = requester.window(now - ANSWERING_NS, now)
            seen = {int(i) for trace in asked.traces for i in np.unique(trace.backend[trace.good()])}
            found |= {asked.backends[i] for i in seen if i < len(asked.backends)}
        return frozenset(found)


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
