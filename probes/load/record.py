"""What the Locust processes are told, and the lines that they write while they run. Knows no process and no Locust."""

from __future__ import annotations

from pathlib import Path

import msgspec

from probes.given_back import give_back


class Target(msgspec.Struct, frozen=True):
    """One HTTP service on one of its addresses, as the contract names it."""

    service: str
    vip: str
    port: int
    host: str
    path: str

    @property
    def url(self) -> str:
        """The base URL; an IPv6 address is put in brackets (RFC 3986, section 3.2.2)."""
        address = f"[{self.vip}]" if ":" in self.vip else self.vip
        return f"http://{address}:{self.port}"


class VantagePlan(msgspec.Struct, frozen=True):
    """One worker: the namespace that its requests leave from, where it writes, and the numbers of the targets that it reaches."""

    name: str
    netns: str
    lines: str
    log: str
    targets: tuple[int, ...]


class Plan(msgspec.Struct, frozen=True):
    """What one master and its workers do. `users` and `rate_per_s` are those of each vantage, over all targets; `directory` is where
    they meet."""

    directory: str
    vantages: tuple[VantagePlan, ...]
    targets: tuple[Target, ...]
    users: int
    rate_per_s: float
    first_answer_s: float
    locustfile: str | None = None
    connect_timeout_s: float = 1.0
    answer_timeout_s: float = 2.0


class Line(msgspec.Struct, frozen=True, array_like=True, tag_field="kind"):
    """One line of a worker's log, a JSON array. All times are CLOCK_MONOTONIC ns."""


class Started(Line, frozen=True, tag="started"):
    """The worker is inside its namespace."""

    pid: int
    t_ns: int


class Schedule(Line, frozen=True, tag="schedule"):
    """One user's requests: number k is intended to start at `first_ns` + k × `interval_ns`, whatever happened before."""

    user: int
    target: int
    first_ns: int
    interval_ns: int

    def due_ns(self, k: int) -> int:
        """When request `k` is intended to start."""
        return self.first_ns + k * self.interval_ns


class Request(Line, frozen=True, tag="request"):
    """One request that ended. `failure` is the reason, None for an answer that counts.

    A user's own locustfile has no schedule: there `user`, `target` and `k` are -1 and `intended_ns` is None.
    """

    user: int
    target: int
    k: int
    intended_ns: int | None
    start_ns: int
    end_ns: int
    status: int
    failure: str | None

    @property
    def due_ns(self) -> int:
        """The intended start, or the actual one where no other is known."""
        return self.start_ns if self.intended_ns is None else self.intended_ns


class TaskFailed(Line, frozen=True, tag="task-failed"):
    """A task of a user's own locustfile raised something."""

    t_ns: int
    reason: str


class Pulse(Line, frozen=True, tag="pulse"):
    """The worker is running. Until here the log is whole: what is due and not in it, had not ended."""

    t_ns: int


AnyLine = Started | Schedule | Request | TaskFailed | Pulse

PULSE_NS = 200_000_000
"""How often a worker says that it runs."""


class Ledger:
    """The lines of one worker, added up while they come."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.requests: list[Request] = []
        self.schedules: dict[int, Schedule] = {}
        self.horizon_ns = 0
        self.task_failure: str | None = None

    def add(self, lines: list[AnyLine]) -> None:
        """Takes the next lines, in the order in which they were written."""
        for line in lines:
            match line:
                case Request():
                    self.requests.append(line)
                case Pulse(t_ns):
                    self.horizon_ns = t_ns
                case Schedule():
                    self.schedules[line.user] = line
                case TaskFailed():
                    self.task_failure = line.reason
                case Started():
                    self.pid = line.pid

    def forget(self, before_ns: int) -> None:
        """Lets go of requests that had ended by then."""
        self.requests = [request for request in self.requests if request.end_ns >= before_ns]


class Follower:
    """Reads a growing log by whole lines into a ledger. A log that is not there yet is an empty one."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger()
        self._path = path
        self._read = 0
        self._decoder = msgspec.json.Decoder(AnyLine)

    def catch_up(self) -> Ledger:
        """The ledger with everything that has been written until now."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._read)
                new = log.read()
        except FileNotFoundError:
            return self.ledger
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self.ledger.add(self._decoder.decode_lines(whole))
        return self.ledger

    def forget(self, before_ns: int) -> None:
        """Lets go of what had ended by then, in the ledger and in the log."""
        self.catch_up().forget(before_ns)
        give_back(self._path, self._read)
