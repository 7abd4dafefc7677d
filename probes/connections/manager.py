"""Starts the connecting process in a client's network namespace and reads its log while it runs. Judges nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from probes.child import ORDINARY, Child, ProbeError, Started
from probes.connections.client import ASK, RENEW, Plan
from probes.connections.ledger import Ledger
from probes.connections.log import AnyLine, ConnectionRecord, Refusal
from probes.connections.places import IDLE_EVERY, PER_STREAM, places_of
from probes.connections.target import Target
from probes.given_back import give_back

REPOSITORY = Path(__file__).resolve().parents[2]


class Connections(Started):
    """`count` connections from one vantage, and `per_stream` to each of `streams` besides. A context manager.

    They are spread over `targets`, in turn; one target may be given by its parts instead (`host`, `path` and `identity`,
    the header that names the backend, come from the service). Each `idle_every`-th of a target is idle (0: none is): it is asked
    once when it is opened and says nothing more until `ask_idle`. The others beat once per `interval_ns`, phases spread. What
    `streams` answer at their paths never ends. An unanswered heartbeat breaks its connection after `stall_ns`, and so does a
    stream's silence. A connection that broke or was closed by the protocol is replaced at once, from a new source port.
    Raises ValueError when there is no target or there are not enough ports.
    """

    def __init__(
        self,
        netns: Path,
        directory: Path,
        *,
        vantage: str,
        src: str = "",
        dst: str = "",
        dport: int = 0,
        host: str = "",
        path: str = "/",
        identity: str = "x-backend",
        count: int = 40,
        base_port: int = 24000,
        ports: int = 4000,
        interval_ns: int = 500_000_000,
        stall_ns: int = 2_000_000_000,
        attempts_per_s: int = 100,
        targets: Sequence[Target] = (),
        streams: Sequence[Target] = (),
        per_stream: int = PER_STREAM,
        idle_every: int = IDLE_EVERY,
        idle_after: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        if not targets and not (src and dst and dport):
            raise ValueError("connections need a target: an address to come from, one to go to, and a port")
        to = tuple(targets) or (Target(src, dst, dport, host, path, identity),)
        places = places_of(to, count, streams, per_stream, idle_every)
        if not 0 < len(places) <= ports or base_port + ports > 65536:
            held = f"{len(places)} connections from ports {base_port}..{base_port + ports - 1}"
            raise ValueError(f"{held}: not enough ports")
        self.vantage = vantage
        self.count = len(places)
        """Of all uses together."""
        self.interval_ns = interval_ns
        self._netns = netns
        self._directory = directory
        self._log = directory / "connections.jsonl"
        self._plan = Plan(
            places=places,
            base_port=base_port,
            ports=ports,
            interval_ns=interval_ns,
            stall_ns=stall_ns,
            attempts_per_s=attempts_per_s,
            log=str(self._log),
        )
        self._child: Child | None = None
        self._renewing_since: int | None = None
        self._asked_since: dict[int, int] = {}
        self._ledger = Ledger(vantage, idle_after)
        self._read = 0
        self._decoder = msgspec.json.Decoder(AnyLine)

    def start(self, deadline_s: float = 10.0) -> None:
        """Returns when every connection has had its first answer. Raises ProbeError saying how many were missing."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")
        plan = self._directory / "connections.plan"
        plan.write_bytes(msgspec.json.encode(self._plan))
        # -P: the tree we are of, not the one that happens to be the current directory
        argv = [sys.executable, "-P", "-m", "probes.connections", str(plan)]
        environment = {"PYTHONPATH": str(REPOSITORY)}
        # Not first in line: hundreds of handshakes at once would keep the lab's routers from BFD's next packet.
        self._child = Child(argv, self._netns, self._directory / "connections.log", environment, ORDINARY)
        try:
            self._child.wait_ready(deadline_s, self._missing)
        except ProbeError as error:
            raise ProbeError(f"connections of {self.vantage}: {error}") from error

    def stop(self) -> None:
        """Closes all connections (by reset); the records stay readable."""
        if self._child is not None:
            self._child.stop()

    def begin_renewal(self) -> None:
        """Leaves every connection and begins to open it anew; `renew` waits for them. What was opened while something was broken
        may stand where no new connection would be put."""
        self._renewing_since = time.monotonic_ns()
        self._tell(RENEW)

    def renew(self, deadline_s: float | None = None) -> None:
        """Returns when all connections have been opened anew and answered, beginning with it unless that was done already.

        The deadline is that of twice the time that opening them in order takes, and 8 s, unless given.

        Raises ProbeError saying how many were missing.
        """
        if self._renewing_since is None:
            self.begin_renewal()
        since, self._renewing_since = self._renewing_since or 0, None
        if deadline_s is None:
            deadline_s = 8.0 + 2 * self.count / self._plan.attempts_per_s
        tick, end = threading.Event(), time.monotonic() + deadline_s
        while (fresh := self._fresh(since)) < self.count:
            if time.monotonic() > end:
                raise ProbeError(f"connections of {self.vantage}: {fresh} of {self.count} were opened anew")
            tick.wait(0.05)

    def ask_idle(self, half: int) -> None:
        """Begins to send a heartbeat on each idle connection of that half, 0 or 1, all within ASKED_WITHIN_S; `asked` tells of the
        answers. Raises ProbeError where the process has ended."""
        self._asked_since[half] = time.monotonic_ns()
        self._tell(ASK[half])

    def asked(self, half: int) -> str:
        """Empty when each of that half has answered or is over since `ask_idle`; else what is missing."""
        self._catch_up()
        whose = f"half {half} of the idle connections of {self.vantage}"
        if half not in self._asked_since:
            return f"{whose} was not asked"
        found = self._ledger.asked(half, self._asked_since[half])
        if found is None:
            return f"{whose} is being asked"
        count, silent = found
        return f"{silent} of {count} in {whose} have neither answered nor ended" if silent else ""

    def unstreamed(self) -> list[tuple[Target, int]]:
        """Targets of streams whose last answer was no stream, each with its status: another than 200, or 200 and an end at once."""
        self._catch_up()
        told = self._ledger.unstreamed
        return list(dict.fromkeys((place.target, told[place.id]) for place in self._plan.places if place.id in told))

    def _tell(self, order: bytes) -> None:
        if self._child is None:
            raise ProbeError("the connections were not started")
        self._child.tell(order)

    def _fresh(self, since_ns: int) -> int:
        self._catch_up()
        return self._ledger.fresh(since_ns)

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ProbeError("the connections were not started")
        return self._child.pid

    def alive(self) -> bool:
        """Whether the process exists. A frozen one does: see heartbeat_age_ns."""
        return self._child is not None and self._child.alive()

    def heartbeat_age_ns(self) -> int:
        """Time since the process last wrote its pulse (every 100 ms when it is well)."""
        self._catch_up()
        last = self._ledger.pulses[-1].t_ns if self._ledger.pulses else 0
        return time.monotonic_ns() - last

    def max_lag_ns(self, t0_ns: int, t1_ns: int) -> int:
        """The most that the process's event loop was late in [t0, t1)."""
        self._catch_up()
        return max((p.lag_ns for p in self._ledger.pulses if t0_ns <= p.t_ns < t1_ns), default=0)

    def last_break_ns(self, since_ns: int) -> int:
        """When the last connection that broke since then began to wait in vain, or broke at once; -1 where none did."""
        self._catch_up()
        return self._ledger.last_break_ns(since_ns)

    def open_count(self) -> int:
        """Connections that are established, answered, and not over."""
        self._catch_up()
        return len(self._ledger.open_ids())

    def records(self, since_ns: int = 0) -> list[ConnectionRecord]:
        """Every connection that had not ended by then (0: that there has been), in the order they were opened."""
        self._catch_up()
        return self._ledger.records(since_ns)

    def refusals(self) -> list[Refusal]:
        """Every failed attempt to open a connection, with when it began and when it failed."""
        self._catch_up()
        return list(self._ledger.refusals)

    def forget(self, before_ns: int) -> None:
        """Lets go of what was over by then, in the ledger and in the log."""
        self._catch_up()
        self._ledger.forget(before_ns)
        give_back(self._log, self._read)

    def _missing(self) -> str:
        reasons = {r.reason for r in self.refusals()}
        why = f" ({', '.join(sorted(reasons))})" if reasons else ""
        to = " and ".join(sorted({f"{p.target.dst} port {p.target.dport}" for p in self._plan.places}))
        return f"{self.open_count()} of {self.count} connections to {to} were answered{why}"

    def _catch_up(self) -> None:
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._ledger.add(self._decoder.decode_lines(whole))
