"""One calibration: probers on a path, a gate on the same path, and what the ones say of what the other did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from probes.calibration import GAP_NS, Errors, Hole, Planned, compare, plan_holes, staggering_ns
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS, FlowTrace
from probes.packets import BASE_PORT, ProbeFlow, plan_flows
from probes.prober import Prober
from probes.readings import read_prober
from probes.trust import TrustCheck, TrustInput, check_trust
from scenarios.calibration.gate import Gate
from scenarios.waiting import pass_time, wait_until
from topologies.image.native import compile_program
from topologies.runtime import RuntimeFailure

MS = 1_000_000
PROBER = Path(__file__).resolve().parents[2] / "probes/native/prober.c"
SHORTEST_NS, LONGEST_NS = 5 * MS, 2_000 * MS
PHASES = 20
"""Finer than in a lab, where more of them would only cost CPU: all flows together shall tell a hole to a tenth of an interval."""
HEAD_START_NS = 300 * MS
QUIET_NS = 300 * MS
SERVED_S = 10.0
LATE_S = 5.0


@dataclass(frozen=True, slots=True)
class Bench:
    """A path to calibrate on: UDP probes go from `source` in `client` to `target`, and come into `router` by `interface`."""

    client: Path
    source: str
    router: Path
    interface: str
    target: str
    port: int


@dataclass(frozen=True, slots=True)
class Pass:
    """What was measured of which holes at one interval, and the errors of that. `staggering_ns`: what its flows' phases are worth;
    `doubts`: what trust says against the prober."""

    traces: tuple[FlowTrace, ...]
    holes: tuple[Hole, ...]
    errors: Errors
    staggering_ns: float
    doubts: tuple[TrustCheck, ...]


def calibrate(
    bench: Bench,
    scratch: Path,
    *,
    interval_ns: int,
    flows: int,
    holes: int,
    probers: int = 2,
    longest_ns: int = LONGEST_NS,
    seed: int,
) -> Pass:
    """Probes `flows` flows by each of so many probers, as a lab has one at each vantage, through `holes` black holes of 5 ms to
    `longest_ns`. Takes as long as they do.

    Raises ProbeError, BpfError, DeadlineMissed or RuntimeFailure when it cannot be done, ValueError for what makes no sense.
    """
    total_ns = sum(h.length_ns for h in plan_holes(holes, SHORTEST_NS, longest_ns, interval_ns, 0, Random(seed)))
    capacity = (total_ns + holes * (GAP_NS + interval_ns) + 15_000 * MS) // interval_ns
    planned = [_planned(bench, number, flows, interval_ns) for number in range(probers)]
    with Gate(bench.router, bench.interface) as gate, ExitStack() as stack:
        sending = [
            stack.enter_context(
                Prober(compile_program(PROBER), bench.client, plan, scratch / f"prober-{number}", capacity)
            )
            for number, plan in enumerate(planned)
        ]
        wait_until(_served(sending), deadline_s=SERVED_S, what="calibration")
        began, counted = time.monotonic_ns(), [prober.counters() for prober in sending]
        plan = plan_holes(holes, SHORTEST_NS, longest_ns, interval_ns, began + HEAD_START_NS, Random(seed))
        gate.run(plan)
        wait_until(_over(gate, plan), deadline_s=(plan[-1].open_ns - began) / 1e9 + LATE_S, what="holes")
        end = time.monotonic_ns() + QUIET_NS
        pass_time(end + FORWARDING_DELAY_THRESHOLD_NS)
        windows = [prober.window(began, end) for prober in sending]
        readings = tuple(map(read_prober, sending, windows, counted))
        found = gate.holes()
    traces = tuple(trace for window in windows for trace in window.flows)
    checks = check_trust(TrustInput(readings, (), 0, 0))
    return Pass(
        traces=traces,
        holes=found,
        errors=compare(traces, found),
        staggering_ns=staggering_ns(planned[0]),  # what another prober's phases add is chance
        doubts=tuple(check for check in checks if not check.ok),
    )


def _planned(bench: Bench, number: int, flows: int, interval_ns: int) -> tuple[ProbeFlow, ...]:
    return plan_flows(
        f"calibration-{number}",
        bench.source,
        "echo",
        bench.target,
        bench.port,
        flows,
        interval_ns,
        first_id=number * flows,
        base_port=BASE_PORT["udp"] + number * flows,
        most_phases=PHASES,
        least_step_ns=1,
    )


def _served(sending: Sequence[Prober]) -> Callable[[], str]:
    def missing() -> str:
        since = time.monotonic_ns() - QUIET_NS
        unserved = any(not prober.quiet_since(since, grace_ns=QUIET_NS // 2) for prober in sending)
        return "not every flow was answered" if unserved else ""

    return missing


def _over(gate: Gate, plan: tuple[Planned, ...]) -> Callable[[], str]:
    def missing() -> str:
        if gate.refused():
            raise RuntimeFailure("the kernel refused the gate's timer between two holes")
        left = len(plan) - gate.done()
        return f"{left} of {len(plan)} holes have not been" if left else ""

    return missing
