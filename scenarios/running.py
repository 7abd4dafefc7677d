"""One run from boot to its last line: the lab, its instruments and its evidence, owned by one stack that lets go of all of them.

Whatever fails in between, a full disk, a closed terminal, an interrupt, leaves no lab. It judges nothing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.boot import Booted, boot, take_down
from scenarios.calibration.kept import kept
from scenarios.instruments import Instruments
from scenarios.phases import Bench
from scenarios.telling import Teller

HERE = Path(__file__).resolve().parents[1]
VERSION = "0.1.0"
Worst = Callable[[Sequence[schema.Verdict]], schema.VerdictWord]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked for. `out`: the directory of its evidence; `connections`: of each vantage; `reproduce`: the command that
    repeats it."""

    topology: Path
    contract: Path
    runtime: str
    out: Path
    reproduce: str
    connections: int
    locustfile: Path | None = None
    per_hop: bool = False


@contextmanager
def running(asked: Asked, teller: Teller, worst: Worst) -> Iterator[Bench]:
    """The lab in service, measured from every vantage, until the block ends; `worst` then says the run's verdict.

    Raises as `boot` does, ProbeError, and CannotWrite for a disk that takes no evidence; nothing of the lab is left in any case.
    """
    with ExitStack() as stack:
        stack.callback(teller.close)
        teller.now("the lab comes up")
        booted = boot(asked.topology, asked.contract, runtime=asked.runtime, say=teller.say)
        stack.callback(take_down, booted.lab)
        began = time.monotonic() - booted.seconds
        writer = stack.enter_context(EvidenceWriter(asked.out / "evidence.jsonl"))
        start = _beginning(asked, booted)
        for line in (start, _described(booted)):
            writer.write(line, t_ns=time.monotonic_ns())
        teller.now("probers, connections and load start")
        with Instruments(booted, asked.locustfile, asked.connections) as instruments:
            made = Bench(booted, instruments, writer, teller.say, teller.now, asked.per_hop)
            lab_before, own_before, since = booted.lab.cpu_seconds(), instruments.cpu_seconds(), time.monotonic()
            yield made
            wall = time.monotonic() - since
            cpu = schema.Cpu(
                lab_cores=round((booted.lab.cpu_seconds() - lab_before) / wall, 2),
                instrument_cores=round((instruments.cpu_seconds() - own_before) / wall, 2),
            )
        wall_s = round(time.monotonic() - began, 1)
        ended = structs.replace(start, event="end", verdict=worst(made.verdicts), wall_s=wall_s, cpu=cpu)
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
