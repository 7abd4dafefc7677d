"""How many probes the instrument carries through the reference lab, what limits it, and where the CPU goes: `rates(rounds)`.

By itself: `python -m cli.bench_rates [ROUNDS]`. Nothing else should run meanwhile: a lab that gets no CPU loses probes.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli.figures import Row, merged, row
from cli.lab import REFERENCE
from cli.outcome import HostFailure, console
from cli.rates.figures import (
    Load,
    Trial,
    beside,
    fault,
    highest,
    per_probe_us,
    row_of_highest,
    rows_of_hops,
    rows_of_load,
)
from cli.rates.hops import RECEIVED, WAY, Joint, Stage, drops_at
from cli.rates.peers import PEERS, Seat, best_of, installed, numbered
from cli.rates.trial import Drop, idle_cores, run_trial, sources, target_of
from cli.rows import show
from probes.child import ProbeError
from scenarios.boot import CONVERGED_WITHIN_S, Booted, boot
from scenarios.steady import unanswered
from scenarios.waiting import DeadlineMissed, wait_until
from topologies.runtimes import destroy

MS = 1_000_000
LOADS = (Load(1000, 50 * MS), Load(300, 10 * MS), Load(30, 1 * MS))
INTERVAL_NS = 10 * MS
"""Of the flows with which the highest rate is sought; more flows make a higher rate."""
RATES = (20_000, 30_000, 40_000, 50_000, 60_000, 70_000, 80_000, 90_000, 100_000, 120_000, 150_000)
TARGET = 30_000
FULL = Load(TARGET * INTERVAL_NS // 1_000_000_000, INTERVAL_NS)
CPU_TARGET = 25.0
SECONDS = 2.0
TURNS = 5
HOME = "eth1"
"""Of a vantage of the reference: toward its own region's transit, which answers come by."""


@dataclass
class Found:
    """Raw figures of all rounds, by what they are of."""

    loads: list[list[Row]] = field(default_factory=list)
    highest: list[tuple[int, str]] = field(default_factory=list)
    own_cpu: list[float] = field(default_factory=list)
    hops: list[list[tuple[str, float]]] = field(default_factory=list)
    ours_us: list[float] = field(default_factory=list)
    peer_rates: dict[str, list[float]] = field(default_factory=dict)
    peer_us: dict[str, list[float]] = field(default_factory=dict)


def rates(rounds: int) -> list[Row]:
    """Boots a reference lab of its own, measures, and takes it down. Raises what `boot` does, ProbeError, HostFailure
    and DeadlineMissed."""
    found = Found()
    with _booted() as booted:
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds}")
            _round(booted, found)
    return _rows(found)


@contextlib.contextmanager
def _booted() -> Iterator[Booted]:
    """The reference under another name, so that a lab that is up is left alone."""
    with tempfile.TemporaryDirectory(prefix="nospof-rates-") as scratch:
        folder = Path(scratch) / "reference"
        shutil.copytree(REFERENCE.parent, folder)
        path = folder / REFERENCE.name
        path.write_text(path.read_text().replace("name: reference\n", "name: bench-rates\n", 1))
        booted = boot(path, say=console.print)
        try:
            yield booted
        finally:
            booted.lab.close()
            destroy(booted.topology.name)


def _round(booted: Booted, found: Found) -> None:
    _in_service(booted)
    trials = [_tried(booted, load) for load in LOADS]
    found.loads.append([r for trial in trials for r in rows_of_load([trial])[0]])
    _hops(booted, found)
    for name, _, _ in PEERS:
        _beside(booted, name, found)
    # Last: beyond the limit even routers get no CPU, and the lab falls apart.
    found.highest.append(highest(RATES, lambda rate: _wrong(booted, rate)))


def _wrong(booted: Booted, rate: int) -> str:
    """What keeps the lab or the prober from a rate; "" if nothing does."""
    try:
        _in_service(booted)
        return fault(_tried(booted, Load(rate * INTERVAL_NS // 1_000_000_000, INTERVAL_NS)))
    except (DeadlineMissed, HostFailure, ProbeError) as error:
        return str(error)


def _in_service(booted: Booted) -> None:
    """Until every service answers everywhere, as at boot. Raises DeadlineMissed."""
    wait_until(
        lambda: "; ".join(unanswered(booted.lab, booted.contract).values()),
        deadline_s=CONVERGED_WITHIN_S,
        every_s=0.2,
        what="services that do not answer",
    )


def _tried(booted: Booted, load: Load, drops: tuple[Drop, ...] = ()) -> Trial:
    trial = run_trial(booted, load, SECONDS, drops)
    late = "-" if trial.late_p99_ns is None else f"{trial.late_p99_ns / 1e6:.2f}"
    console.print(
        f"  {load}: {trial.probes / trial.seconds:.0f}/s, late p99 {late} ms, lost {trial.lost}, by the harness "
        f"{trial.not_sent + trial.own_drops}; cores: probers {trial.probers / trial.seconds:.2f}, lab "
        f"{trial.lab / trial.seconds:.2f}, kernel {trial.kernel / trial.seconds:.2f}",
        highlight=False,
        soft_wrap=True,
    )
    return trial


def _hops(booted: Booted, found: Found) -> None:
    """What a probe costs when it dies at the end of each stage of its way, and when it comes back."""
    service, near = target_of(booted), sources(booted)
    roles = {name: node.role or "" for name, node in booted.topology.nodes.items()}
    joints = [
        Joint(a.node, a.interface, roles[a.node], roles[b.node])
        for pair in booted.lab.pairs()
        for a, b in (pair, pair[::-1])
    ]
    idle = idle_cores(booted, SECONDS)

    def cost(stage: Stage | None) -> float:
        drops = drops_at(stage, joints, near, service.vip[0], service.port) if stage else ()
        trial = _tried(booted, FULL, drops)
        if stage is None:
            found.ours_us.append(trial.probers / trial.probes * 1e6)
        return per_probe_us(trial, idle)

    # What is ours is little beside all the rest, and a host's pace drifts: its parts are measured several times, in turn.
    turns = [(cost(WAY[0]), cost(WAY[-1]), cost(None)) for _ in range(TURNS)]
    of_sending, last = (statistics.median(turn[part] for turn in turns) for part in (0, 1))
    of_receiving = max(0.0, statistics.median(received - dropped for _, dropped, received in turns))
    between = [(stage.name, cost(stage)) for stage in WAY[1:-1]]
    found.hops.append([(WAY[0].name, of_sending), *between, (WAY[-1].name, last), (RECEIVED, last + of_receiving)])
    found.own_cpu.append((of_sending + of_receiving) * TARGET / 1e6 * 100)


def _beside(booted: Booted, name: str, found: Found) -> None:
    if not installed(name):
        return
    sender, steps = next((s, r) for n, s, r in PEERS if n == name)
    vantage, source = next(iter(sources(booted).items()))
    seat = Seat(booted.lab.netns(vantage), source, HOME)
    address = target_of(booted).vip[0]
    with numbered(seat) if name == "hping3" else contextlib.nullcontext():
        best = best_of(steps, lambda rate: sender(seat, address, rate))
    said = f"{best.rate:.0f}/s, {best.cpu / best.sent * 1e6:.1f} µs of CPU each" if best else "nothing without a loss"
    console.print(f"  {name}: {said}", highlight=False)
    if best:
        found.peer_rates.setdefault(name, []).append(best.rate)
        found.peer_us.setdefault(name, []).append(best.cpu / best.sent * 1e6)


def _rows(found: Found) -> list[Row]:
    rows = merged(found.loads)
    rows.append(row_of_highest(found.highest, RATES[-1], TARGET))
    own = [
        [row(f"CPU of the instrument at {TARGET} probes/s", cpu, "% of a core", CPU_TARGET)] for cpu in found.own_cpu
    ]
    rows += merged(own)
    rows += rows_of_hops(found.hops)
    for name, _, _ in PEERS:
        best = [rate for rate, _ in found.highest]
        theirs, cost = found.peer_rates.get(name, []), found.peer_us.get(name, [])
        rows.append(beside("highest rate sustained", best, theirs, name, "probes/s", more=True))
        rows.append(
            beside("CPU of the sender and of what its sends do", found.ours_us, cost, name, "µs/probe", more=False)
        )
    return rows


if __name__ == "__main__":
    show(rates(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
