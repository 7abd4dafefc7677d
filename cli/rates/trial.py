"""One trial: probers at all vantages of a booted lab send at a rate for some seconds, to the end or to where their probes are made
to die on the way. It judges nothing."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.outcome import HostFailure
from cli.rates.figures import SECOND_NS, Load, Trial, spread
from probes.flows import LOST, NOT_SENT
from probes.packets import plan_flows
from probes.prober import Prober
from scenarios.answers import source_for
from scenarios.boot import Booted
from scenarios.instruments import PROBER
from topologies.image.native import compile_program
from topologies.services import Service

WARM_S = 1.0
LATE_S = 0.7
"""So long may the last answers be under way; what takes longer is lost here."""


@dataclass(frozen=True, slots=True)
class Drop:
    """An interface of a node, and what dies when it comes in there: any of these, in the words of nft(8)."""

    node: str
    interface: str
    matches: tuple[str, ...]


def target_of(booted: Booted) -> Service:
    """The lab's UDP service, which is probed at its first address. Raises HostFailure where there is none."""
    found = [s for s in booted.contract.services.values() if s.protocol == "udp"]
    if not found:
        raise HostFailure("the lab has no UDP service to be probed")
    return found[0]


def sources(booted: Booted) -> dict[str, str]:
    """Vantage → the address it probes from. Raises HostFailure for one without a route."""
    service = target_of(booted)
    found = {}
    for node in booted.topology.nodes_with_role("client"):
        source = source_for(booted.lab.netns(node.name), service.vip[0], service.port)
        if source is None:
            raise HostFailure(f"vantage {node.name} has no route to {service.vip[0]}")
        found[node.name] = source
    return found


@contextmanager
def dropping(booted: Booted, drops: Sequence[Drop]) -> Iterator[None]:
    """Has these nodes drop what matches, as it comes in, while the context lasts. Raises HostFailure."""
    with ExitStack() as stack:
        for number, drop in enumerate(drops):
            table = f"netdev bench{number}"
            rules = "".join(f"{match} drop\n" for match in drop.matches)
            hook = f"type filter hook ingress device {drop.interface} priority 0"
            stack.callback(_nft, booted, drop.node, f"add table {table}\ndelete table {table}\n")
            _nft(booted, drop.node, f"table {table} {{\nchain in {{\n{hook}\n{rules}}}\n}}\n")
        yield


def _nft(booted: Booted, node: str, script: str) -> None:
    argv = ["nsenter", f"--net={booted.lab.netns(node)}", "nft", "-f", "-"]
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostFailure(f"{node}: nft refuses {script!r}: {done.stderr.strip()}")


def run_trial(booted: Booted, load: Load, seconds: float, drops: Sequence[Drop] = ()) -> Trial:
    """Every vantage sends its share of the load. Raises ProbeError, HostFailure."""
    service, near = target_of(booted), sources(booted)
    capacity = int((WARM_S + seconds + LATE_S + 5) * SECOND_NS / load.interval_ns)
    directory = Path(tempfile.mkdtemp(prefix="nospof-rates-", dir="/dev/shm"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.enter_context(dropping(booted, drops))
        probers: list[Prober] = []
        for number, ((vantage, source), count) in enumerate(
            zip(near.items(), spread(load.flows, len(near)), strict=True)
        ):
            netns, first = booted.lab.netns(vantage), 10_000 * number
            flows = plan_flows(
                vantage, source, service.name, service.vip[0], service.port, count, load.interval_ns, first_id=first
            )
            prober = Prober(compile_program(PROBER), netns, flows, directory / vantage, capacity)
            probers.append(stack.enter_context(prober))
        wait(WARM_S)
        before, t0 = _cpu(booted, probers), time.monotonic_ns()
        wait(seconds)
        after, t1 = _cpu(booted, probers), time.monotonic_ns()
        wait(LATE_S)
        for prober in probers:
            prober.stop()  # who sends that fast overwrites what is being read, and leaves no CPU to read it
        windows = [prober.window(t0, t1) for prober in probers]
        own_drops = sum(prober.counters().socket_drops for prober in probers)
    lateness = np.concatenate([w.lateness() for w in windows])
    own, lab, kernel = (b - a for a, b in zip(before, after, strict=True))
    return Trial(
        load=load,
        seconds=(t1 - t0) / 1e9,
        probes=sum(len(t.seq) for w in windows for t in w.flows),
        lost=sum(w.count(LOST) for w in windows),
        not_sent=sum(w.count(NOT_SENT) for w in windows),
        own_drops=own_drops,
        late_p99_ns=int(np.percentile(lateness, 99)) if lateness.size else None,
        probers=own,
        lab=lab,
        kernel=kernel,
    )


def idle_cores(booted: Booted, seconds: float) -> float:
    """Cores that the lab takes while nobody probes it."""
    before, t0 = _cpu(booted, ()), time.monotonic()
    wait(seconds)
    after, t1 = _cpu(booted, ()), time.monotonic()
    return sum(b - a for a, b in zip(before, after, strict=True)) / (t1 - t0)


def wait(seconds: float) -> None:
    """For a window of time to pass, which nothing can end sooner."""
    threading.Event().wait(seconds)


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process so far as the scheduler counts them, to the ns (in /proc/PID/stat they are whole ticks, and who
    is paced hides between those); 0 for one that is gone."""
    try:
        return sum(int(t.read_text().split()[0]) for t in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except OSError:
        return 0.0


def _cpu(booted: Booted, probers: Sequence[Prober]) -> tuple[float, float, float]:
    kernel = [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/comm") if _named(p, "ksoftirqd/")]
    return sum(cpu_of(p.pid) for p in probers), booted.lab.cpu_seconds(), sum(map(cpu_of, kernel))


def _named(comm: Path, name: str) -> bool:
    try:
        return comm.read_text().startswith(name)
    except OSError:
        return False
