"""Faults of tests alone: what befalls the instrument and its host while a scenario runs. They judge nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from probes import layout
from scenarios.boot import Booted
from scenarios.faults.kill import KillFault
from scenarios.faults.kill_node import kill_node
from scenarios.faults.placebo import Placebo, placebo
from scenarios.waiting import pass_time
from topologies.linux.wire import Instant


class SignalledProber(Placebo):
    """Nothing is broken, and a prober is stopped or killed."""

    def __init__(self, pid: int, number: int) -> None:
        super().__init__(placebo(["front"]).plan)
        self._pid, self._number = pid, number

    def inject(self) -> Instant:
        os.kill(self._pid, self._number)
        return super().inject()


class SilencedKill(KillFault):
    """A silent kill of a node during which a prober is stopped or killed, too."""

    def __init__(self, booted: Booted, node: str, pid: int, number: int) -> None:
        super().__init__(booted.lab, kill_node(booted.lab, node).plan)
        self._pid, self._number = pid, number

    def inject(self) -> Instant:
        os.kill(self._pid, self._number)
        return super().inject()


class StalledProber(Placebo):
    """Nothing is broken, while a prober does not run for a moment that is too short for most of its probes to be late."""

    def __init__(self, pid: int, lasting_ns: int) -> None:
        super().__init__(placebo(["front"]).plan)
        self._pid, self._lasting_ns = pid, lasting_ns

    def inject(self) -> Instant:
        instant = super().inject()
        os.kill(self._pid, signal.SIGSTOP)
        try:
            pass_time(instant.after_ns + self._lasting_ns)
        finally:
            os.kill(self._pid, signal.SIGCONT)
        return instant


class NoPlacebo(Placebo):
    """A placebo during which a link loses everything for so long: what no one may let pass."""

    def __init__(self, booted: Booted, lasting_ns: int) -> None:
        super().__init__(placebo(["front"]).plan)
        self._lab, self._lasting_ns = booted.lab, lasting_ns

    def inject(self) -> Instant:
        link = self._lab.topology.links[0]
        instant = super().inject()
        self._lab.cut_link(link)
        pass_time(instant.after_ns + self._lasting_ns)
        self._lab.mend_link(link)
        return instant


class SteppedClock(Placebo):
    """A placebo during which the wall clock, as the prober has sampled it, steps by 7 ms. (That of the host is everybody's.)"""

    def __init__(self, records: Path) -> None:
        super().__init__(placebo(["front"]).plan)
        self._records = records

    def inject(self) -> Instant:
        instant = super().inject()
        header = np.memmap(self._records, layout.HEADER, mode="r+", shape=())
        sampled = int(header["offset_count"])
        pass_time(instant.after_ns + 500_000_000)
        header["offsets"]["offset_ns"][sampled % layout.OFFSETS] += 7_000_000
        return instant


HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
except PermissionError:
    os.nice(-20)  # then the prober is not served first either
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    pass
"""


class Hogged(Placebo):
    """A placebo during which nobody but hogs, which come before the prober even, has a CPU for half a second."""

    def __init__(self) -> None:
        super().__init__(placebo(["front"]).plan)

    def inject(self) -> Instant:
        instant = super().inject()
        cores = os.sched_getaffinity(0)
        hogs = [subprocess.Popen([sys.executable, "-c", HOG, str(core), "0.5"]) for core in cores]
        assert [hog.wait() for hog in hogs] == [0] * len(cores)
        return instant
