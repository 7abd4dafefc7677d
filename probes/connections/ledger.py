"""Adds up the lines of the connecting process, as they come, to records. Knows no sockets and no processes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from probes.connections.aging import closed_by_age
from probes.connections.log import (
    AnyLine,
    Asked,
    Beat,
    Broken,
    Closed,
    ConnectionRecord,
    Heartbeat,
    Opened,
    Pulse,
    Refusal,
    Refused,
    Unstreamed,
)


@dataclass(slots=True)
class _Life:
    """One connection. A run keeps millions of heartbeats: `sent`, `answered` and `status` are columns, ns and numbers."""

    opened: Opened
    sent: array[int] = field(default_factory=lambda: array("q"))
    answered: array[int] = field(default_factory=lambda: array("q"))
    status: array[int] = field(default_factory=lambda: array("i"))
    backends: list[str | None] = field(default_factory=list)
    unstreamed: int = 0
    broken: Broken | None = None
    closed: Closed | None = None

    @property
    def ended_ns(self) -> int | None:
        end = self.broken or self.closed
        return end.t_ns if end else None


class Ledger:
    """One vantage's connections so far."""

    def __init__(self, vantage: str, idle_after: Mapping[tuple[str, int], int] | None = None) -> None:
        """`idle_after`: (address, port) → after how long without a word that service closes, ns, as far as anybody said."""
        self.vantage = vantage
        self._idle_after = idle_after or {}
        self._aged: set[tuple[int, int]] = set()
        self.refusals: list[Refusal] = []
        self.pulses: list[Pulse] = []
        self.unstreamed: dict[int, int] = {}
        """Places that should stream and whose last answer did not: its status."""
        self._lives: dict[tuple[int, int], _Life] = {}
        self._newest: dict[int, _Life] = {}
        self._open: set[int] = set()
        self._waiting: dict[tuple[int, int], int] = {}
        self._names: dict[str | None, str | None] = {}
        self._asked: dict[int, Asked] = {}

    def add(self, lines: Iterable[AnyLine]) -> None:
        """Takes further lines, in the order they were written."""
        for line in lines:
            match line:
                case Beat() | Unstreamed():
                    self._answer(line)
                case Asked():
                    self._asked[line.half] = line
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

    def _answer(self, line: Beat | Unstreamed) -> None:
        life = self._lives[line.id, line.incarnation]
        life.sent.append(line.sent_ns)
        life.answered.append(line.answered_ns)
        life.status.append(line.status)
        life.backends.append(self._names.setdefault(line.backend, line.backend))
        life.unstreamed += isinstance(line, Unstreamed) and line.status < 400
        self._open.add(line.id)
        if isinstance(line, Unstreamed):
            self.unstreamed[line.id] = line.status
        else:
            self.unstreamed.pop(line.id, None)

    def asked(self, half: int, since_ns: int) -> tuple[int, int] | None:
        """Of how many idle connections of that half that were asked since then how many neither answered nor ended yet; None while
        not all have been asked."""
        told = self._asked.get(half)
        if told is None or told.t_ns < since_ns:
            return None
        silent = 0
        for place, incarnation, sent_ns in told.asked:
            life = self._lives[place, incarnation]
            silent += life.ended_ns is None and not (life.sent and life.sent[-1] >= sent_ns)
        return len(told.asked), silent

    def last_break_ns(self, since_ns: int) -> int:
        """When the last connection that broke since then began to wait in vain, or broke at once; -1 where none did. An idle one that
        was closed for its age did not break."""
        broken = {k: life for k, life in self._lives.items() if life.broken and life.broken.t_ns >= since_ns}
        self._find_aged([k for k, life in broken.items() if life.opened.use == "idle" and k not in self._aged])
        found = (life.broken for k, life in broken.items() if life.broken and k not in self._aged)
        return max((b.t_ns if b.sent_ns is None else max(since_ns, b.sent_ns) for b in found), default=-1)

    def _find_aged(self, asked: Sequence[tuple[int, int]]) -> None:
        """Which of these idle connections were closed for their age, as far as that shows by now."""
        if not asked:
            return
        idle = {k: self._record(k, one) for k, one in self._lives.items() if one.broken and one.opened.use == "idle"}
        for key in asked:
            mine = idle[key]
            alike = [r for k, r in idle.items() if k != key and (r.dst, r.dport) == (mine.dst, mine.dport)]
            if closed_by_age(mine, alike, self._idle_after.get((mine.dst, mine.dport))):
                self._aged.add(key)

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
        self._aged &= self._lives.keys()
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
            errors=sum(1 for status in life.status if status >= 400) + life.unstreamed,
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
            use=opened.use,
            half=opened.half,
        )
