"""The lines that the connecting process writes, and the records they add up to. Knows no sockets and no processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

BrokenBy = Literal["reset", "stall", "other-backend", "closed"]


class Line(msgspec.Struct, frozen=True, tag_field="kind"):
    """One line of the log. All times are CLOCK_MONOTONIC ns."""


class Opened(Line, frozen=True, tag="opened"):
    """The TCP handshake is done. The backend is known only with the first answer."""

    id: int
    incarnation: int
    src: str
    sport: int
    dst: str
    dport: int
    t_ns: int


class Beat(Line, frozen=True, tag="beat"):
    """A heartbeat was answered. `backend` is None if the answer names none (an error page, say)."""

    id: int
    incarnation: int
    sent_ns: int
    answered_ns: int
    status: int
    backend: str | None


class Broken(Line, frozen=True, tag="broken"):
    """An established connection ended against our will; `sent_ns` is the heartbeat left unanswered, if any."""

    id: int
    incarnation: int
    by: BrokenBy
    t_ns: int
    sent_ns: int | None


class Refused(Line, frozen=True, tag="refused"):
    """An attempt to connect failed."""

    id: int
    sport: int
    started_ns: int
    t_ns: int
    reason: str


class Pulse(Line, frozen=True, tag="pulse"):
    """The process is running; `lag_ns` is the most that its event loop was late since the pulse before."""

    t_ns: int
    lag_ns: int


AnyLine = Opened | Beat | Broken | Refused | Pulse


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One answered request on a connection."""

    sent_ns: int
    answered_ns: int
    status: int
    backend: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed attempt to open a connection."""

    id: int
    sport: int
    started_ns: int
    t_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """One established connection: its 5-tuple, who answered it, and how it ended (`broken_*` None: it did not).

    `id` is the place it fills, `incarnation` counts the connections that filled it, from 0. `unanswered_ns` is when the
    heartbeat that broke it was sent.
    """

    vantage: str
    id: int
    incarnation: int
    src: str
    sport: int
    dst: str
    dport: int
    opened_ns: int
    backend: str | None = None
    heartbeats: int = 0
    errors: int = 0
    last_answer_ns: int | None = None
    longest_answer_ns: int = 0
    unanswered_ns: int | None = None
    broken_ns: int | None = None
    broken_by: BrokenBy | None = None
    beats: tuple[Heartbeat, ...] = ()
    closed_ns: int | None = None


class Ledger:
    """Adds up lines, as they come, to records."""

    def __init__(self, vantage: str) -> None:
        self.vantage = vantage
        self.refusals: list[Refusal] = []
        self.pulses: list[Pulse] = []
        self._opened: dict[tuple[int, int], Opened] = {}
        self._beats: dict[tuple[int, int], list[Heartbeat]] = {}
        self._broken: dict[tuple[int, int], Broken] = {}

    def add(self, lines: Iterable[AnyLine]) -> None:
        """Takes further lines, in the order they were written."""
        for line in lines:
            match line:
                case Opened():
                    self._opened[line.id, line.incarnation] = line
                    self._beats[line.id, line.incarnation] = []
                case Beat():
                    self._beats[line.id, line.incarnation].append(
                        Heartbeat(line.sent_ns, line.answered_ns, line.status, line.backend)
                    )
                case Broken():
                    self._broken[line.id, line.incarnation] = line
                case Refused():
                    self.refusals.append(Refusal(line.id, line.sport, line.started_ns, line.t_ns, line.reason))
                case Pulse():
                    self.pulses.append(line)

    def open_ids(self) -> set[int]:
        """Places whose connection is established, was answered, and is not broken."""
        return {key[0] for key, beats in self._beats.items() if beats and key not in self._broken}

    def records(self) -> list[ConnectionRecord]:
        """Every connection so far, in the order they were opened."""
        return [self._record(key, opened) for key, opened in self._opened.items()]

    def _record(self, key: tuple[int, int], opened: Opened) -> ConnectionRecord:
        beats, broken = self._beats[key], self._broken.get(key)
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
            errors=sum(1 for b in beats if b.status >= 400),
            last_answer_ns=beats[-1].answered_ns if beats else None,
            longest_answer_ns=max((b.answered_ns - b.sent_ns for b in beats), default=0),
            unanswered_ns=broken.sent_ns if broken else None,
            broken_ns=broken.t_ns if broken else None,
            broken_by=broken.by if broken else None,
            beats=tuple(beats),
        )
