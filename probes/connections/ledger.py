"""Adds up the lines of the connecting process, as they come, to records. Knows no sockets and no processes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from probes.connections.log import (
    AnyLine,
    Beat,
    Broken,
    Closed,
    ConnectionRecord,
    Heartbeat,
    Opened,
    Pulse,
    Refusal,
    Refused,
)


@dataclass(slots=True)
class _Life:
    """One connection. A run keeps millions of heartbeats: `sent`, `answered` and `status` are columns, ns and numbers."""

    opened: Opened
    sent: array[int] = field(default_factory=lambda: array("q"))
    answered: array[int] = field(default_factory=lambda: array("q"))
    status: array[int] = field(default_factory=lambda: array("i"))
    backends: list[str | None] = field(default_factory=list)
    broken: Broken | None = None
    closed: Closed | None = None

    @property
    def ended_ns(self) -> int | None:
        end = self.broken or self.closed
        return end.t_ns if end else None


class Ledger:
    """One vantage's connections so far."""

    def __init__(self, vantage: str) -> None:
        self.vantage = vantage
        self.refusals: list[Refusal] = []
        self.pulses: list[Pulse] = []
        self._lives: dict[tuple[int, int], _Life] = {}
        self._newest: dict[int, _Life] = {}
        self._open: set[int] = set()
        self._waiting: dict[tuple[int, int], int] = {}
        self._names: dict[str | None, str | None] = {}

    def add(self, lines: Iterable[AnyLine]) -> None:
        """Takes further lines, in the order they were written."""
        for line in lines:
            match line:
                case Beat():
                    life = self._lives[line.id, line.incarnation]
                    life.sent.append(line.sent_ns)
                    life.answered.append(line.answered_ns)
                    life.status.append(line.status)
                    life.backends.append(self._names.setdefault(line.backend, line.backend))
                    self._open.add(line.id)
                case Opened():
                    self._lives[line.id, line.incarnation] = self._newest[line.id] = _Life(line)
                case Broken():
                    self._lives[line.id, line.incarnation].broken = line
                    self._open.discard(line.id)
                case Closed():
                    self._lives[line.id, line.incarnation].closed = line
                    self._open.discard(line.id)
                case Refused():
                    self.refusals.append(
                        Refusal(line.id, line.sport, line.started_ns, line.t_ns, line.reason, line.dst, line.dport)
                    )
                case Pulse():
                    self.pulses.append(line)
                    self._waiting = {(place, incarnation): sent for place, incarnation, sent in line.waiting}

    def open_ids(self) -> set[int]:
        """Places whose connection is established, was answered, and has not ended."""
        return set(self._open)

    def fresh(self, since_ns: int) -> int:
        """How many places are filled by a connection that was opened since then and was answered."""
        return sum(1 for life in self._newest.values() if life.opened.t_ns >= since_ns and life.sent)

    def records(self, since_ns: int = 0) -> list[ConnectionRecord]:
        """Every connection that had not ended by then, in the order they were opened."""
        return [
            self._record(key, life)
            for key, life in self._lives.items()
            if (ended := life.ended_ns) is None or ended >= since_ns
        ]

    def forget(self, before_ns: int) -> None:
        """Lets go of what was over by then: connections that had ended, attempts that had failed, pulses but the last."""
        newest = {id(life) for life in self._newest.values()}
        self._lives = {
            key: life
            for key, life in self._lives.items()
            if (ended := life.ended_ns) is None or ended >= before_ns or id(life) in newest
        }
        self.refusals = [refusal for refusal in self.refusals if refusal.t_ns >= before_ns]
        self.pulses = [pulse for pulse in self.pulses[:-1] if pulse.t_ns >= before_ns] + self.pulses[-1:]

    def _record(self, key: tuple[int, int], life: _Life) -> ConnectionRecord:
        opened, broken, closed = life.opened, life.broken, life.closed
        beats = tuple(map(Heartbeat, life.sent, life.answered, life.status, life.backends))
        waiting = None if broken or closed else self._waiting.get(key)
        if waiting is not None and beats and beats[-1].sent_ns >= waiting:
            waiting = None  # answered since the pulse that told of it
        return ConnectionRecord(
            vantage=self.vantage,
            id=opened.id,
            incarnation=opened.incarnation,
            src=opened.src,
            sport=opened.sport,
            dst=opened.dst,
            dport=opened.dport,
            opened_ns=opened.t_ns,
            backend=next((b.backend for b in beats if b.backend is not None), None),
            heartbeats=len(beats),
            errors=sum(1 for status in life.status if status >= 400),
            last_answer_ns=beats[-1].answered_ns if beats else None,
            longest_answer_ns=max((b.answered_ns - b.sent_ns for b in beats), default=0),
            unanswered_ns=broken.sent_ns if broken else None,
            broken_ns=broken.t_ns if broken else None,
            broken_by=broken.by if broken else None,
            beats=beats,
            closed_ns=closed.t_ns if closed else None,
            started_ns=opened.started_ns,
            waiting_ns=waiting,
            http=opened.http,
            tls=opened.tls,
        )
