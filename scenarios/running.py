"""One run from boot to its last line: the lab, its instruments and its evidence, owned by one stack that lets go of all of them.

Whatever fails in between, a full disk, a closed terminal, an interrupt, leaves no lab. It judges nothing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.absent import refuse_missing
from scenarios.asked import plays as played
from scenarios.beforehand import beforehand
from scenarios.bench import Bench, tap_openings
from scenarios.boot import Booted, boot, take_down
from scenarios.calibration.kept import kept
from scenarios.garbage import collected_between_trials
from scenarios.instruments import Instruments
from scenarios.telling import Teller
from topologies.check import load_checked
from topologies.runtimes import images_of

HERE = Path(__file__).resolve().parents[1]
VERSION = "0.1.0"
Verdict = Callable[[], schema.VerdictWord]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked for. `out`: the directory of its evidence; `connections`: of each vantage; `reproduce`: the command that
    repeats it; `names`: scenarios by name, none: all that are played unasked; `targets` or `each`: what they are aimed at."""

    topology: Path
    contract: Path
    runtime: str
    out: Path
    reproduce: str
    connections: int
    locustfile: Path | None = None
    per_hop: bool = False
    names: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    each: bool = False


@dataclass
class _Deployment:
    """The lab and its instruments, which one stack owns. Another one takes its place where the lab cannot be mended."""

    asked: Asked
    teller: Teller
    stack: ExitStack = field(default_factory=ExitStack)
    lab_s: float = 0.0
    own_s: float = 0.0
    request_s: float = 0.0

    def boot(self) -> Booted:
        """Raises as `boot` does."""
        self.teller.now("the lab comes up")
        booted = boot(self.asked.topology, self.asked.contract, runtime=self.asked.runtime, say=self.teller.say)
        self.stack.callback(take_down, booted.lab)
        refuse_missing(booted, self.asked.names, self.asked.targets)
        return booted

    def measure(self, booted: Booted) -> Instruments:
        """Starts the instruments, every link tapped. Raises ProbeError, RuntimeFailure."""
        self.teller.now("probers, connections and load start")
        tap_openings(booted.lab)
        instruments = self.stack.enter_context(Instruments(booted, self.asked.locustfile, self.asked.connections))
        if instruments.thinned > 1:
            every_ms = instruments.interval_ns / 1e6
            self.teller.say(f"one probe every {every_ms:g} ms: {instruments.cores} cores carry no more beside the lab")
        lab_s, own_s, request_s = booted.lab.cpu_seconds(), instruments.cpu_seconds(), instruments.request_seconds()

        def account() -> None:
            self.lab_s += booted.lab.cpu_seconds() - lab_s
            self.own_s += instruments.cpu_seconds() - own_s
            self.request_s += instruments.request_seconds() - request_s

        self.stack.callback(account)
        return instruments

    def again(self) -> tuple[Booted, Instruments]:
        """A fresh lab in place of this one. Raises as `boot` and `measure` do."""
        self.stack.close()
        booted = self.boot()
        return booted, self.measure(booted)


@contextmanager
def running(asked: Asked, teller: Teller, verdict: Verdict) -> Iterator[Bench]:
    """The lab in service, measured from every vantage, until the block ends; `verdict` then says the run's.

    Raises as `boot` does, BadInput for what does not fit the stack, ProbeError, and CannotWrite for a disk that takes no evidence;
    nothing of the lab is left in any case.
    """
    topology, contract = load_checked(asked.topology, asked.contract, images=images_of(asked.runtime))
    plays = played(topology, contract, asked.names, asked.targets, asked.each)
    with ExitStack() as stack:
        stack.callback(teller.close)
        deployment = _Deployment(asked, teller)
        stack.callback(deployment.stack.close)
        booted = deployment.boot()
        began = time.monotonic() - booted.seconds
        writer = stack.enter_context(EvidenceWriter(asked.out / "evidence.jsonl"))
        start = _beginning(asked, booted)
        for line in (start, _described(booted)):
            writer.write(line, t_ns=time.monotonic_ns())
        bench = Bench(
            booted,
            deployment.measure(booted),
            writer,
            teller.say,
            teller.now,
            asked.per_hop,
            plays={play.entry.name: play for play in plays},
            opened=True,
            redeploy=deployment.again,
        )
        since = time.monotonic()
        with collected_between_trials():
            yield bench
        wall = time.monotonic() - since
        deployment.stack.close()
        lab, own, requests = (round(s / wall, 2) for s in (deployment.lab_s, deployment.own_s, deployment.request_s))
        cpu = schema.Cpu(lab_cores=lab, instrument_cores=own, request_cores=requests)
        wall_s = round(time.monotonic() - began, 1)
        ended = structs.replace(start, event="end", verdict=verdict(), wall_s=wall_s, cpu=cpu)
        writer.write(ended, t_ns=time.monotonic_ns())


def shown(path: Path) -> str:
    """A path as a user would type it: from the clone's root where it lies in it."""
    whole = path.resolve()
    return str(whole.relative_to(HERE) if whole.is_relative_to(HERE) else whole)


def _beginning(asked: Asked, booted: Booted) -> schema.Run:
    return schema.Run(
        event="start",
        run_id=asked.out.name,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=tuple(sys.argv[1:]),
        version=VERSION,
        commit=_commit(),
        host=_host(),
        topology=shown(asked.topology),
        contract=shown(asked.contract),
        reproduce=asked.reproduce,
        boot_s=round(booted.seconds, 2),
        calibration=kept(),
        services=tuple(map(str, beforehand(booted.contract, booted.answering))),
    )


def _commit() -> str | None:
    try:
        done = subprocess.run(
            # root may look at the clone of whoever came through sudo
            ["git", "-C", str(HERE), "-c", f"safe.directory={HERE}", "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def _host() -> schema.Host:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return schema.Host(cores=os.cpu_count() or 1, kernel=platform.release(), memory_mib=memory)


def _described(booted: Booted) -> schema.Topology:
    topology = booted.topology
    return schema.Topology(
        name=topology.name,
        nodes=tuple(
            schema.TopologyNode(name=n.name, kind=n.kind, role=n.role, region=n.region) for n in topology.nodes.values()
        ),
        links=tuple(
            schema.TopologyLink(a=a.node, a_if=a.interface, b=b.node, b_if=b.interface, mtu=link.mtu)
            for link in topology.links
            for a, b in [link.endpoints]
        ),
        services=tuple(
            schema.TopologyService(name=s.name, vip=s.vip, port=s.port, protocol=s.protocol)
            for s in booted.contract.services.values()
        ),
        digest=topology.digest,
    )
