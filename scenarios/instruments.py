"""The probers and long-lived connections of a run, one pair per vantage, started once and read per scenario."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from probes.connections import Connections
from probes.connections import Target as Far
from probes.flows import Ints
from probes.load import LoadError, LoadRun, Target
from probes.packets import BASE_PORT, ProbeFlow, Transport, plan_flows
from probes.prober import Prober
from probes.trust import LAB_LATE_LIMIT_NS
from probes.wakeups import Wakeups
from probes.watch import Watch
from scenarios.answers import source_for
from scenarios.boot import Booted
from topologies.image.native import compile_program
from topologies.oci.lab import pairs_of
from topologies.runtime import RuntimeFailure
from topologies.services import Service

INTERVAL_NS = 10_000_000
SYN_INTERVAL_NS = 20_000_000
FLOWS_PER_SERVICE = 50  # shared by its addresses
PINGS_PER_ADDRESS = 1
CONNECTIONS_PER_VANTAGE = 100
HEARTBEAT_NS = 1_000_000_000
LOAD_USERS = 10
LOAD_PER_S = 20.0
CONNECTED_S = 30.0
CALM_NS = 2_000_000_000
CALM_SHARE = 0.25
"""A host has CPU to spare while lateness (p99) stays within this share of its limit, looked at for so long."""
NATIVE = Path(__file__).resolve().parents[1] / "probes/native"
PROBER, WAKEUPS = NATIVE / "prober.c", NATIVE / "wakeups.c"


@dataclass
class Instruments:
    """Probers and connections by vantage. A context manager; nothing of it is left when it closes."""

    booted: Booted
    locustfile: Path | None = None
    probers: dict[str, Prober] = field(default_factory=dict)
    connections: dict[str, Connections] = field(default_factory=dict)
    load: LoadRun | None = None
    watch: Watch | None = None
    wakeups: Wakeups | None = None
    _unloaded: str = ""

    def __enter__(self) -> Instruments:
        self._directory = self.booted.lab.places.scratch
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
        try:
            vantages = [v.name for v in self.booted.topology.nodes_with_role("client")]
            self._start_watch()
            # Locust first: it takes two seconds of CPU to begin, and from then on gives way to the probers.
            self._start_load(vantages)
            for vantage in vantages:
                self._start(vantage)
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

    def _reached(self, vantage: str) -> list[tuple[Service, str]]:
        """The services that answered this vantage at boot, each with each of its addresses."""
        services = self.booted.contract.services.values()
        return [
            (service, vip) for service in services for vip in service.vip if (vantage, vip) not in self.booted.unreached
        ]

    def _flows(self, vantage: str) -> list[ProbeFlow]:
        """UDP to every UDP service on each of its addresses; to the others pings, and a schedule of SYNs."""
        flows: list[ProbeFlow] = []
        first, used = (
            1000 * len(self.probers),
            {"udp": BASE_PORT["udp"], "icmp": BASE_PORT["icmp"], "tcp": BASE_PORT["tcp"]},
        )
        for service, vip in self._reached(vantage):
            source = self._source(vantage, vip, service.port)
            wanted: list[tuple[Transport, int, int]] = (
                [("udp", FLOWS_PER_SERVICE // len(service.vip), INTERVAL_NS)]
                if service.protocol == "udp"
                else [("icmp", PINGS_PER_ADDRESS, INTERVAL_NS), ("tcp", 1, SYN_INTERVAL_NS)]
            )
            for transport, count, interval in wanted:
                made = plan_flows(
                    vantage,
                    source,
                    service.name,
                    vip,
                    service.port,
                    count,
                    interval,
                    transport=transport,
                    first_id=first + len(flows),
                    base_port=used[transport],
                )
                used[transport] = made[-1].sport + made[-1].ports
                flows += made
        return flows

    def _start(self, vantage: str) -> None:
        netns = self.booted.lab.netns(vantage)
        flows = self._flows(vantage)
        if flows:
            prober = Prober(compile_program(PROBER), netns, flows, self._directory / vantage)
            self.probers[vantage] = self._stack.enter_context(prober)
        targets = [
            Far(
                self._source(vantage, vip, service.port),
                vip,
                service.port,
                service.host or vip,
                service.path or "/",
                service.identity or "x-backend",
            )
            for service, vip in self._reached(vantage)
            if service.protocol == "http"
        ]
        if targets:
            held = Connections(
                netns,
                self._directory / vantage,
                vantage=vantage,
                targets=targets,
                count=CONNECTIONS_PER_VANTAGE,
                interval_ns=HEARTBEAT_NS,
            )
            self._stack.callback(held.stop)
            held.start(CONNECTED_S)
            self.connections[vantage] = held

    def _start_watch(self) -> None:
        """Routing protocols, kernels' routes and nodes' own events, on one timeline."""
        lab, events = self.booted.lab, self.booted.contract.events
        ends = {
            end.index: (end.node, end.interface, peer.node)
            for pair in pairs_of(lab.topology)
            for end, peer in (pair, pair[::-1])
        }
        self.watch = Watch(
            self._directory / "watch",
            {node: lab.netns(node) for node in lab.topology.nodes},
            ends,
            self._stack.enter_context(lab.wire.hear()),
            lambda: lab.sockets(events) if events else {},
        )
        self._stack.enter_context(self.watch)

    def _start_wakeups(self) -> None:
        """Whether the lab gets its CPU is seen from among its processes."""
        wakeups = Wakeups(compile_program(WAKEUPS), self._directory / "wakeups")
        self._stack.enter_context(wakeups)
        self.booted.lab.take_in(wakeups.pid)
        self.wakeups = wakeups

    def _start_load(self, vantages: Sequence[str]) -> None:
        """Locust, from every vantage that some HTTP service answered."""
        contract, lab = self.booted.contract, self.booted.lab
        http = [s for s in contract.services.values() if s.protocol == "http"]
        unreached = {vip for _, vip in self.booted.unreached}
        targets = tuple(
            Target(s.name, vip, s.port, s.host or vip, s.path or "/")
            for s in http
            for vip in s.vip
            if vip not in unreached
        )
        if targets:
            self.load = LoadRun(
                self._directory / "load",
                {v: lab.netns(v) for v in vantages},
                targets,
                users=LOAD_USERS,
                rate_per_s=LOAD_PER_S,
                locustfile=self.locustfile,
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
        return sum(_cpu_seconds(pid) for pid in pids)

    def begin_renewal(self) -> None:
        """Has the long-lived connections opened anew meanwhile; `renew` waits for them."""
        for held in self.connections.values():
            if held.alive():
                held.begin_renewal()

    def renew(self) -> None:
        """Long-lived connections opened anew, as before every fault: those that were opened during the last one
        would else carry it on. Raises ProbeError."""
        with ThreadPoolExecutor(max(1, len(self.connections))) as pool:
            for _ in pool.map(Connections.renew, self.connections.values()):
                pass

    def unsteady(self, since_ns: int) -> str:
        """Empty when since then no probe was lost and every place for a connection is filled; else what is wrong."""
        wrong = [f"probes of {v} are lost" for v, prober in self.probers.items() if not prober.quiet_since(since_ns)]
        for vantage, connections in self.connections.items():
            if connections.open_count() < connections.count:
                wrong.append(f"{connections.open_count()} of {connections.count} connections of {vantage} are up")
        return "; ".join(wrong)

    def restless(self) -> str:
        """Empty when for some seconds probes left, and the lab's processes ran, as punctually as on a host with CPU to spare."""
        now = time.monotonic_ns()
        late = {}
        for vantage, prober in self.probers.items():
            p99 = _p99(prober.window(now - CALM_NS, now).lateness())
            if p99 > CALM_SHARE * INTERVAL_NS:
                late[f"probes of {vantage} leave"] = p99
        if self.wakeups and self.wakeups.alive():
            p99 = _p99(self.wakeups.lateness(now - CALM_NS, now))
            if p99 > CALM_SHARE * LAB_LATE_LIMIT_NS:
                late["the lab's processes run"] = p99
        return "; ".join(f"{what} {p99 / 1e6:.1f} ms late (p99)" for what, p99 in late.items())

    def last_impaired_ns(self, since_ns: int) -> Mapping[str, int]:
        """Vantage → when its last impaired probe was due; absent when none was."""
        found = {v: int(p.last_impaired_ns(since_ns).max(initial=-1)) for v, p in self.probers.items()}
        return {v: t for v, t in found.items() if t >= 0}


def _p99(lateness: Ints) -> int:
    return int(np.percentile(lateness, 99)) if lateness.size else 0


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
