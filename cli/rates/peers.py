"""Other senders at their work, from one vantage: what each carries without a loss, and what CPU that takes. Each is run as its users
would, to a VIP that answers pings."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 2
PATIENCE_S = 20
SLOW = 0.7


@dataclass(frozen=True, slots=True)
class Ran:
    """A peer's run: probes sent and answered, how long it took, and its own seconds of CPU, the kernel's on its behalf included."""

    sent: int
    answered: int
    seconds: float
    cpu: float

    @property
    def whole(self) -> bool:
        """Whether it sent anything, and all of it was answered."""
        return 0 < self.sent <= self.answered

    @property
    def rate(self) -> float:
        return self.sent / self.seconds if self.seconds else 0.0


Sender = Callable[[Path, str, int], Ran]
"""Sends from a namespace to an address at a rate, for about SECONDS."""

SCAPY = """
import sys, time
from scapy.all import ICMP, IP, L3RawSocket, conf, sr
conf.verb = 0
conf.L3socket = L3RawSocket  # the kernel's routes: scapy's own know no next hop of the other family
address, count, gap = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
packets = [IP(dst=address) / ICMP(id=7, seq=n & 65535) / bytes(56) for n in range(count)]
before = time.process_time()
answered, unanswered = sr(packets, inter=gap, timeout=0.5)
took = max(p.sent_time for p in packets) - min(p.sent_time for p in packets)
print(count, len(answered), took, time.process_time() - before)
"""


def fping(netns: Path, address: str, rate: int) -> Ran:
    """fping(8), one target, so many pings that take SECONDS."""
    count = rate * SECONDS
    period = f"{1000 / rate:.4f}"
    argv = ["fping", "-q", "-c", str(count), "-p", period, "-i", period, "-t", "500", address]
    said, cpu, seconds = _run(netns, argv)
    found = re.search(r"xmt/rcv/%loss = (\d+)/(\d+)", said)
    return Ran(int(found[1]), int(found[2]), seconds, cpu) if found else Ran(0, 0, seconds, cpu)


def hping3(netns: Path, address: str, rate: int) -> Ran:
    """hping3(8) in its ICMP mode, whose interval is of whole microseconds. It listens where its source address is: on a vantage that
    has that on its loopback interface it hears nothing."""
    argv = ["hping3", "-q", "-n", "-1", "-c", str(rate * SECONDS), "-i", f"u{1_000_000 // rate}", address]
    said, cpu, seconds = _run(netns, argv)
    found = re.search(r"(\d+) packets \w+, (\d+) packets received", said)
    return Ran(int(found[1]), int(found[2]), seconds, cpu) if found else Ran(0, 0, seconds, cpu)


def scapy(netns: Path, address: str, rate: int) -> Ran:
    """scapy's own send-and-receive, with packets made before the clock runs."""
    argv = [sys.executable, "-c", SCAPY, address, str(rate * SECONDS), str(1 / rate)]
    said, _, _ = _run(netns, argv)
    try:
        sent, answered, seconds, cpu = said.split()[-4:]
        return Ran(int(sent), int(answered), float(seconds), float(cpu))
    except ValueError:
        return Ran(0, 0, 0.0, 0.0)


PEERS: Sequence[tuple[str, Sender, tuple[int, ...]]] = (
    ("fping", fping, (500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000)),
    ("hping3", hping3, (500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000)),
    ("scapy", scapy, (100, 200, 500, 1_000, 2_000, 5_000)),
)


def installed(name: str) -> bool:
    """scapy is part of our own environment."""
    return name == "scapy" or shutil.which(name) is not None


def best_of(steps: Sequence[int], run: Callable[[int], Ran]) -> Ran | None:
    """The fastest run in which nothing was lost, at the rate that it really had; None if something was lost even in the slowest.

    Steps are tried upwards until one loses something twice, or is a good deal slower than it was told: faster it will not be.
    """
    best: Ran | None = None
    for rate in steps:
        ran = run(rate)
        if not ran.whole:
            ran = run(rate)
        if not ran.whole:
            return best
        best = ran if best is None or ran.rate > best.rate else best
        if ran.rate < SLOW * rate:
            return best
    return best


def _run(netns: Path, argv: Sequence[str]) -> tuple[str, float, float]:
    """What a command printed, its CPU seconds and how long it took; nothing of one that does not end in PATIENCE_S."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        done = subprocess.run(
            ["nsenter", f"--net={netns}", *argv], capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return "", 0.0, 0.0
    after, took = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    return done.stderr + done.stdout, sum(after[:2]) - sum(before[:2]), took
