"""`nospof bench probe`: what the instrument carries, how far it is from the truth, and what it calls broken where nothing is."""

from __future__ import annotations

import os
import platform
import time

import click
import msgspec

from cli.figures import Row, exit_code
from cli.outcome import BadUsage, HostFailure, print_json, stamp
from cli.rows import show
from probes.child import ProbeError
from scenarios.waiting import DeadlineMissed
from topologies.linux.bpf import BpfError

DEFAULT_MINUTES = 10.0
MOST_MINUTES = 24 * 60.0


@click.command("probe")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of each rate, interleaved.")
@click.option("--calibrate", "calibrating", is_flag=True, help="Measure black holes of known length instead.")
@click.option(
    "--false-alarms",
    "minutes",
    type=click.FloatRange(min=0, min_open=True, max=MOST_MINUTES),
    is_flag=False,
    flag_value=DEFAULT_MINUTES,
    help=f"Measure so many minutes without a fault instead ({DEFAULT_MINUTES:g} if none are given).",
)
@click.option(
    "--hogs", "busy", is_flag=True, help="With --false-alarms: beside a process on every core that takes it all."
)
@click.option(
    "--planted",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="With --hogs: how many real faults to plant, none of which may pass.",
)
@click.option(
    "--seed", type=int, default=None, help="With --calibrate: for the same holes again (default: other ones each time)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def probe(
    rounds: int, calibrating: bool, minutes: float | None, busy: bool, planted: int, seed: int | None, as_json: bool
) -> int:
    """Measure the instrument itself.

    Without options: what rates of probes the reference lab and the prober carry, what limits them, the instrument's own CPU, what
    a probe costs from hop to hop, and the same of fping, hping3 and scapy where they are installed. Ten minutes.

    --calibrate: a gate in the kernel, with a timer of its own, drops packets 60 times for 5 to 2,000 ms and writes down when it
    really did; two probers, which know nothing of it, measure the same. The difference is the instrument's error. It is kept
    outside the tree, and every later report on this host names it.

    --false-alarms: scenarios in which nothing is broken, one after another on the reference lab. No black hole may be found; beside
    hogs (--hogs) none may fail, at most half of them may be unknown, and a fault that is real must not pass.

    Exit code 1: a target was missed; 3: a figure was not measured, or the host failed us. Nothing else should run meanwhile.
    """
    if busy and minutes is None:
        raise BadUsage("--hogs goes with --false-alarms")
    say = stamp()
    seed = time.time_ns() if seed is None else seed
    rows: list[Row] = []
    try:
        if calibrating:
            from cli.calibration import calibrate_here  # noqa: PLC0415 - each reads what it needs, which takes a second

            say(f"calibration, seed {seed}")
            rows += calibrate_here(seed, say)
        if minutes is not None:
            from cli.false_alarms import false_alarms  # noqa: PLC0415

            rows += false_alarms(minutes, planted, busy, say)
        if not calibrating and minutes is None:
            rows += _rates(rounds)
    except (ProbeError, BpfError, DeadlineMissed) as error:
        raise HostFailure(str(error)) from error
    if as_json:
        host = {"cores": os.cpu_count(), "kernel": platform.release(), "machine": platform.machine()}
        print_json({"host": host, "rows": [msgspec.to_builtins(r) for r in rows]})
    else:
        show(rows)
    return exit_code(rows)


def _rates(rounds: int) -> list[Row]:
    try:
        from cli.bench_rates import rates  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise HostFailure(f"what measures rates is not in this tree ({missing.name})") from missing
    found: list[Row] = rates(rounds)
    return found
