"""Memory stays flat: what a finished trial left is let go of, in the process and in its logs; the trial's own is there until then."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from probes.connections import Connections
from probes.connections.log import AnyLine, Beat, Closed, Opened, Pulse, Refused
from probes.load import LoadRun, Target
from probes.load.record import Pulse as LoadPulse
from probes.load.record import Request
from probes.watch import Watch
from probes.watch.journal import Kind, packed
from tests.probes.conftest import ROOT
from tests.probes.watch.made import Heard, bfd, heard, reach, tcp, udp

MS, S = 1_000_000, 1_000_000_000
TRIAL_NS = 30 * S
PLACES, BEATS = 100, 60
TRIALS, WARM, MOST_MIB = 200, 20, 10
NODE, END = "a", 10


class FakeLab:
    """Writes and says what a lab's connections, load, routers and kernels do in each trial; the instruments read it as in a run."""

    def __init__(self, directory: Path) -> None:
        self.held = Connections(directory, directory / "held", vantage="v", src="10.0.0.1", dst="10.0.0.2", dport=80)
        self.load = LoadRun(
            directory / "load", {"v": directory}, (Target("web", "10.0.0.2", 80, "w", "/"),), users=2, rate_per_s=20
        )
        self.packets: list[Heard] = []
        self.watch = Watch(directory / "watch", {NODE: directory}, {END: (NODE, "eth1", "b")}, self)
        self.logs = (
            directory / "held/connections.jsonl",
            directory / "load/v.jsonl",
            directory / "watch/netlink.journal",
        )
        for log in self.logs:
            log.parent.mkdir()
            log.touch()

    def read(self) -> list[Heard]:
        """As the wires' ring."""
        taken, self.packets = self.packets, []
        return taken

    def lost(self) -> int:
        return 0

    def trial(self, number: int) -> tuple[int, int]:
        """One trial's worth; when it began and when it was over."""
        t0 = (number + 1) * TRIAL_NS
        held, load, journal = self.logs
        encode = msgspec.json.Encoder().encode
        self._append(held, b"".join(encode(line) + b"\n" for line in self._connections(number, t0)))
        self._append(load, b"".join(encode(line) + b"\n" for line in self._requests(t0)))
        pulses = (packed(Kind.PULSE, 0, t0 + n * 100 * MS, 0) for n in range(300))
        self._append(journal, b"".join(pulses) + packed(Kind.OVERFLOW, 0, t0 + S, t0))
        for n in range(200):
            prefix = f"203.0.113.{n}/32"
            src = "fe80::1" if n % 2 else f"fe80::{number + 2:x}"  # an old session, and each trial's new one
            self.packets.append(
                heard(tcp(reach(1, prefix), number * 20_000 + n * 90, src=src), t_ns=t0 + n * MS, index=END)
            )
        self.packets += [heard(udp(bfd(3 if n % 2 else 1)), t_ns=t0 + n * MS, index=END) for n in range(50)]
        return t0, t0 + TRIAL_NS

    @staticmethod
    def _append(path: Path, raw: bytes) -> None:
        with path.open("ab") as log:
            log.write(raw)

    @staticmethod
    def _connections(number: int, t0: int) -> Iterator[AnyLine]:
        """All opened anew, as before every fault; some refused."""
        for place in range(PLACES):
            if number:
                yield Closed(place, number - 1, t0)
            yield Opened(place, number, "10.0.0.1", 24000 + place, "10.0.0.2", 80, t0 + MS, t0)
            for beat in range(BEATS):
                sent = t0 + MS + beat * 500 * MS
                yield Beat(place, number, sent, sent + MS, 200, "be-1")
            yield Refused(place, 30000 + place, t0, t0 + MS, "refused")
        for pulse in range(300):
            yield Pulse(t0 + pulse * 100 * MS, 1)

    @staticmethod
    def _requests(t0: int) -> Iterator[Request | LoadPulse]:
        for k in range(600):
            due = t0 + k * 50 * MS
            yield Request(k % 2, 0, k, due, due, due + MS, 200, None)
        yield LoadPulse(t0 + TRIAL_NS)

    def seen(self, t0: int, t1: int) -> tuple[int, int, int, int, int]:
        """What the conclusion of a trial asks for: connections, refusals, requests, events, gaps."""
        return (
            len(self.held.records(t0 + MS)),
            sum(1 for refusal in self.held.refusals() if refusal.t_ns >= t0),
            len(self.load.requests("v", t0, t1)),
            len(self.watch.events(t0, t1)),
            len(self.watch.gaps(t0, t1)),
        )

    def forget(self, before_ns: int) -> None:
        for part in (self.held, self.load, self.watch):
            part.forget(before_ns)

    def on_disk(self) -> int:
        """Bytes that the logs take."""
        return sum(512 * log.stat().st_blocks for log in self.logs)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def weigh(directory: Path, *, forgetting: bool) -> None:
    """Plays the trials and says what grew since the first few: the process, MiB, and its logs, bytes."""
    lab = FakeLab(directory)
    asked = set()
    before = 0.0, 0
    for number in range(TRIALS):
        t0, t1 = lab.trial(number)
        asked.add(lab.seen(t0, t1))
        if forgetting:
            lab.forget(t1)
        if number == WARM:
            before = _resident_mib(), lab.on_disk()
    assert len(asked) == 1, f"every trial sees the same of itself: {asked}"
    print(_resident_mib() - before[0], lab.on_disk() - before[1], *asked.pop())


@pytest.fixture
def weighed(scratch: Path, request: pytest.FixtureRequest) -> list[float]:
    """In a process of its own, which no other test has warmed."""
    load = "from pathlib import Path; from tests.probes.test_flat import weigh"
    script = f"{load}; weigh(Path({str(scratch)!r}), forgetting={request.param})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.mark.parametrize("weighed", [True], indirect=True)
def test_two_hundred_trials_weigh_what_twenty_do_and_each_has_all_of_its_own(weighed: list[float]) -> None:
    process_mib, log_bytes, *seen = weighed
    assert process_mib < MOST_MIB
    assert log_bytes < 2**20
    assert seen == [PLACES, PLACES, 600, 250, 1]


@pytest.mark.parametrize("weighed", [False], indirect=True)
def test_the_scales_show_what_is_not_let_go_of(weighed: list[float]) -> None:
    process_mib, log_bytes, *_ = weighed
    assert process_mib > 2 * MOST_MIB
    assert log_bytes > 2**20
