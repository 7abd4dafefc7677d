"""The probers and long-lived connections of a run, one pair per vantage, started once and read per scenario."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from probes.connections import Connections
from probes.packets import ProbeFlow, plan_flows
from probes.prober import Prober
from scenarios.answers import source_for
from scenarios.boot import Booted
from topologies.image.native import compile_program
from topologies.runtime import RuntimeFailure

INTERVAL_NS = 10_000_000
FLOWS_PER_SERVICE = 50
CONNECTIONS_PER_VANTAGE = 40
PROBER = Path(__file__).resolve().parents[1] / "probes/native/prober.c"


@dataclass
class Instruments:
    """Probers and connections by vantage. A context manager; nothing of it is left when it closes."""

    booted: Booted
    probers: dict[str, Prober] = field(default_factory=dict)
    connections: dict[str, Connections] = field(default_factory=dict)

    def __enter__(self) -> Instruments:
        self._directory = self.booted.lab.places.scratch
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
        try:
            for vantage in self.booted.topology.nodes_with_role("client"):
                self._start(vantage.name)
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

    def _start(self, vantage: str) -> None:
        services = self.booted.contract.services.values()
        flows: list[ProbeFlow] = []
        first = 1000 * len(self.probers)
        for service in services:
            if service.protocol == "udp":
                for vip in service.vip:
                    source = self._source(vantage, vip, service.port)
                    at = len(flows)
                    flows += plan_flows(
                        vantage,
                        source,
                        service.name,
                        vip,
                        service.port,
                        FLOWS_PER_SERVICE,
                        INTERVAL_NS,
                        first_id=first + at,
                        base_port=20000 + at,
                    )
        netns = self.booted.lab.netns(vantage)
        if flows:
            prober = Prober(compile_program(PROBER), netns, flows, self._directory / vantage)
            self.probers[vantage] = self._stack.enter_context(prober)
        for service in services:
            if service.protocol == "http" and vantage not in self.connections:
                vip = service.vip[0]
                connections = Connections(
                    netns,
                    self._directory / vantage,
                    vantage=vantage,
                    src=self._source(vantage, vip, service.port),
                    dst=vip,
                    dport=service.port,
                    host=service.host or vip,
                    path=service.path or "/",
                    identity=service.identity or "x-backend",
                    count=CONNECTIONS_PER_VANTAGE,
                )
                self.connections[vantage] = self._stack.enter_context(connections)

    def cpu_seconds(self) -> float:
        """CPU seconds of the instrument's processes so far, by their own accounting in /proc."""
        pids = [p.pid for p in self.probers.values()] + [c.pid for c in self.connections.values()]
        return sum(_cpu_seconds(pid) for pid in pids)

    def unsteady(self, since_ns: int) -> str:
        """Empty when since then no probe was lost and every place for a connection is filled; else what is wrong."""
        wrong = [f"probes of {v} are lost" for v, prober in self.probers.items() if not prober.quiet_since(since_ns)]
        for vantage, connections in self.connections.items():
            if connections.open_count() < connections.count:
                wrong.append(f"{connections.open_count()} of {connections.count} connections of {vantage} are up")
        return "; ".join(wrong)

    def last_impaired_ns(self, since_ns: int) -> Mapping[str, int]:
        """Vantage → when its last impaired probe was due; absent when none was."""
        found = {v: int(p.last_impaired_ns(since_ns).max(initial=-1)) for v, p in self.probers.items()}
        return {v: t for v, t in found.items() if t >= 0}


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
