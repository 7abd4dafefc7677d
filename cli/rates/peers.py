"""Other senders at their work, from one vantage: what each carries without a loss, and what CPU that takes. Each is run as its users
would, to a VIP that answers pings."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.outcome import HostFailure

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


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a peer sends from: a namespace, the address that its probes have as their source and that may be on no interface but the
    loopback's, and the interface by which their answers come in."""

    netns: Path
    source: str
    interface: str


Sender = Callable[[Seat, str, int], Ran]
"""Sends from there to an address at a rate, for about SECONDS."""

SCAPY = """
import sys, time
from scapy.all import ICMP, IP, L3RawSocket, conf, sr
conf.verb = 0
conf.L3socket = L3RawSocket  # the kernel's routes: scapy's own know no next hop of the other family
source, address, count, gap = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
packets = [IP(src=source, dst=address) / ICMP(id=7, seq=n & 65535) / bytes(56) for n in range(count)]
before = time.process_time()
answered, unanswered = sr(packets, inter=gap, timeout=0.5)
took = max(p.sent_time for p in packets) - min(p.sent_time for p in packets)
print(count, len(answered), took, time.process_time() - before)
"""


def fping(seat: Seat, address: str, rate: int) -> Ran:
    """fping(8), one target, so many pings that take SECONDS."""
    count = rate * SECONDS
    period = f"{1000 / rate:.4f}"
    argv = ["fping", "-q", "-c", str(count), "-p", period, "-i", period, "-t", "500", address]
    said, cpu, seconds = _run(seat.netns, argv)
    found = re.search(r"xmt/rcv/%loss = (\d+)/(\d+)", said)
    return Ran(int(found[1]), int(found[2]), seconds, cpu) if found else Ran(0, 0, seconds, cpu)


def hping3(seat: Seat, address: str, rate: int) -> Ran:
    """hping3(8) in its ICMP mode, whose interval is of whole microseconds. It listens at the interface that it is told, if that has an
    address of IPv4 (see `numbered`), and to answers for the source that it is told."""
    argv = ["hping3", "-q", "-n", "-1", "-I", seat.interface, "-a", seat.source]
    argv += ["-c", str(rate * SECONDS), "-i", f"u{1_000_000 // rate}", address]
    said, cpu, seconds = _run(seat.netns, argv)
    found = re.search(r"(\d+) packets \w+, (\d+) packets received", said)
    return Ran(int(found[1]), int(found[2]), seconds, cpu) if found else Ran(0, 0, seconds, cpu)


@contextmanager
def numbered(seat: Seat) -> Iterator[None]:
    """The interface has an address meanwhile, for hping3, which knows none that has not: one of those that nobody routes (RFC 5737).

    With an interface's last address the kernel takes its routes away; those of zebra stay, which are by nexthop objects. Raises
    HostFailure.
    """
    _address(seat, "replace")
    try:
        yield
    finally:
        _address(seat, "del")


def _address(seat: Seat, change: str) -> None:
    argv = ["nsenter", f"--net={seat.netns}", "ip", "address", change, "192.0.2.1/32", "dev", seat.interface]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostFailure(f"{seat.interface} of a vantage: ip address {change}: {done.stderr.strip()}")


def scapy(seat: Seat, address: str, rate: int) -> Ran:
    """scapy's own send-and-receive, with packets made before the clock runs."""
    argv = [sys.executable, "-c", SCAPY, seat.source, address, str(rate * SECONDS), str(1 / rate)]
    said, _, _ = _run(seat.netns, argv)
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
