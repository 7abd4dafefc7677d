"""The prober against holes that a gate with a timer of its own makes and tells: the calibration, small, with generous bounds."""

from __future__ import annotations

import dataclasses
import subprocess
import time
import warnings
from pathlib import Path
from random import Random

import pytest

from probes.calibration import compare, plan_holes
from scenarios.calibration.calibrate import Bench, Pass, calibrate
from scenarios.calibration.gate import Gate
from tests.probes.conftest import wait_until
from tests.probes.wire import CLIENT, SERVER, Wire

pytestmark = pytest.mark.lab

MS = 1_000_000
INTERVAL = 10 * MS
HOLES, PROBERS, FLOWS, TRIES = 12, 2, 5, 3


@pytest.fixture
def measured(lab: Wire, scratch: Path) -> Pass:
    """A calibration in which the prober itself has no doubts: other tests may take its CPU."""
    lab.responder("udp", SERVER, "7", "be-1")
    bench = Bench(lab.netns("c"), CLIENT, lab.netns("r"), "c", SERVER, 7)
    for attempt in range(TRIES):
        found = calibrate(
            bench,
            scratch / f"{attempt}",
            interval_ns=INTERVAL,
            flows=FLOWS,
            holes=HOLES,
            probers=PROBERS,
            longest_ns=200 * MS,
            seed=attempt,
        )
        if not found.doubts:
            break
        warnings.warn(f"too busy a host for an attempt: {found.doubts}", stacklevel=2)
    assert not found.doubts, found.doubts
    return found


def test_known_black_holes_are_measured_and_a_wrong_instrument_is_found_out(measured: Pass) -> None:
    right = measured.errors
    assert right.error_ns.shape == (HOLES, PROBERS * FLOWS)
    assert right.unexplained == right.not_sent == 0
    # Twice what is right on an idle host: on its way to the gate a probe may wait for a busy CPU.
    assert right.beyond_lateness_ns <= 2 * INTERVAL
    assert right.mean_ns <= INTERVAL
    assert abs(right.bias_ns) <= INTERVAL / 2
    assert right.acc_ns < INTERVAL
    # What the departures leave open may be much where both probers were held up; half of it is all that may be wrong.
    assert right.worst_aggregate_ns <= right.between_ns.max() / 2 + INTERVAL
    longer = [dataclasses.replace(hole, opened_ns=hole.opened_ns + 4 * INTERVAL) for hole in measured.holes]
    wrong = compare(measured.traces, longer)
    assert wrong.beyond_lateness_ns > 2 * INTERVAL
    assert wrong.mean_ns > INTERVAL
    assert wrong.worst_aggregate_ns > INTERVAL
    assert abs(wrong.bias_ns) > INTERVAL / 2


def filters(lab: Wire) -> str:
    argv = ["tc", "-n", lab.netns("r").name, "filter", "show", "dev", "c", "ingress"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def queues(lab: Wire) -> str:
    argv = ["tc", "-n", lab.netns("r").name, "qdisc", "show", "dev", "c"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_gate_keeps_to_its_plan_and_leaves_nothing(lab: Wire) -> None:
    before = queues(lab)
    with Gate(lab.netns("r"), "c") as gate:
        assert "gate" in filters(lab)
        plan = plan_holes(3, 5 * MS, 20 * MS, MS, time.monotonic_ns() + 50 * MS, Random(1))
        assert gate.holes() == ()
        gate.run(plan)
        wait_until(lambda: gate.done() == len(plan), "holes")
        assert not gate.refused()
        found = gate.holes()
    for wanted, hole in zip(plan, found, strict=True):
        assert hole.closed_ns >= wanted.close_ns - MS, "a timer may be late, never early"
        assert hole.opened_ns >= wanted.open_ns - MS
        assert hole.length_ns > 0
        assert hole.dropped == 0, "nobody sent anything"
    assert filters(lab) == ""
    assert queues(lab) == before


def test_a_gate_leaves_what_others_have_on_the_interface(lab: Wire) -> None:
    tc = ["tc", "-n", lab.netns("r").name]
    subprocess.run([*tc, "qdisc", "add", "dev", "c", "clsact"], check=True)
    other = [*"filter add dev c ingress prio 1 bpf bytecode".split(), "1,6 0 0 0"]  # takes nothing
    subprocess.run([*tc, *other], check=True)
    before = filters(lab)
    assert "bytecode" in before
    with Gate(lab.netns("r"), "c"):
        assert "gate" in filters(lab)
    assert filters(lab) == before


@pytest.mark.parametrize("count", [0, 257])
def test_more_holes_than_it_has_room_for_are_refused(lab: Wire, count: int) -> None:
    plan = plan_holes(count, MS, MS, MS, 0, Random(1)) if count else ()
    with Gate(lab.netns("r"), "c") as gate, pytest.raises(ValueError, match="1 to 256 can be planned"):
        gate.run(plan)


def test_an_interface_that_is_not_there_is_refused_and_nothing_is_left(lab: Wire) -> None:
    with pytest.raises(OSError, match="nowhere"), Gate(lab.netns("r"), "nowhere"):
        pytest.fail("a gate on no interface")
