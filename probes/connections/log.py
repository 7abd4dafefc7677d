"""The lines that the connecting process writes, and what the records are that they add up to. Knows no sockets and no processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from probes.connections.target import Use, Version

BrokenBy = Literal["reset", "stall", "other-backend", "closed"]


class Line(msgspec.Struct, frozen=True, tag_field="kind"):
    """One line of the log. All times are CLOCK_MONOTONIC ns."""


class Opened(Line, frozen=True, tag="opened"):
    """The handshakes are done, TCP's and that of TLS. The backend is known only with the first answer."""

    id: int
    incarnation: int
    src: str
    sport: int
    dst: str
    dport: int
    t_ns: int
    started_ns: int = 0
    http: Version = "1.1"
    tls: bool = False
    use: Use = "busy"
    half: int | None = None


class Beat(Line, frozen=True, tag="beat"):
    """A heartbeat was answered. `backend` is None if the answer names none (an error page, say).

    Of a stream: the longest that it was silent since the line before, from one arrival of bytes to the next.
    """

    id: int
    incarnation: int
    sent_ns: int
    answered_ns: int
    status: int
    backend: str | None


class Unstreamed(Line, frozen=True, tag="unstreamed"):
    """What should have streamed was answered otherwise: with another status than 200, or with an end at once."""

    id: int
    incarnation: int
    sent_ns: int
    answered_ns: int
    status: int
    backend: str | None


class Asked(Line, frozen=True, tag="asked"):
    """The idle connections of one half have been asked, from `t_ns` on: each (id, incarnation) with when its heartbeat was sent."""

    half: int
    t_ns: int
    asked: tuple[tuple[int, int, int], ...]


class Broken(Line, frozen=True, tag="broken"):
    """An established connection ended against our will; `sent_ns` is the heartbeat left unanswered, if any, or, of a stream, when
    its last bytes came."""

    id: int
    incarnation: int
    by: BrokenBy
    t_ns: int
    sent_ns: int | None


class Closed(Line, frozen=True, tag="closed"):
    """The other end announced that the connection ends (`connection: close`, GOAWAY): ended as the protocol provides."""

    id: int
    incarnation: int
    t_ns: int


class Refused(Line, frozen=True, tag="refused"):
    """An attempt to connect failed."""

    id: int
    sport: int
    started_ns: int
    t_ns: int
    reason: str
    dst: str = ""
    dport: int = 0


class Pulse(Line, frozen=True, tag="pulse"):
    """The process is running; `lag_ns` is the most that its event loop was late since the pulse before.

    `waiting`: (id, incarnation, sent_ns) of heartbeats that have been without an answer for a while.
    """

    t_ns: int
    lag_ns: int
    waiting: tuple[tuple[int, int, int], ...] = ()


AnyLine = Opened | Beat | Unstreamed | Asked | Broken | Closed | Refused | Pulse


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One answered request on a connection; of a stream, one of its longer silences."""

    sent_ns: int
    answered_ns: int
    status: int
    backend: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed attempt to open a connection, from when it began to when it failed."""

    id: int
    sport: int
    started_ns: int
    t_ns: int
    reason: str
    dst: str = ""
    dport: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """One established connection: its 5-tuple, who answered it, and how it ended: broken, or closed as the protocol
    provides, at `closed_ns`, which breaks nothing (None: it did not).

    `id` is the place it fills, `incarnation` counts the connections that filled it, from 0. `started_ns` is when its
    handshake began, `unanswered_ns` when the heartbeat was sent that broke it, `waiting_ns` when the one was sent that has
    no answer yet (as far as is known: told every 100 ms).

    `half`: of an idle one, with which half of them it is asked, 0 or 1. A stream's heartbeats are its longest silences, one for each
    second; it was `unanswered` and is `waiting` since its last bytes came. `errors` counts answers from status 400 on, and those
    that should have streamed and did not.
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
    started_ns: int = 0
    waiting_ns: int | None = None
    http: Version = "1.1"
    tls: bool = False
    use: Use = "busy"
    half: int | None = None

    @property
    def ended_ns(self) -> int | None:
        """When it was broken or closed; None if it stands."""
        return self.broken_ns if self.broken_ns is not None else self.closed_ns

    def longest_wait_ns(self, t0_ns: int, t1_ns: int) -> int:
        """The longest that a heartbeat under way in [t0, t1) waited for its answer, counted from when it was sent.

        One without an answer at t1 has waited until then, or until it broke the connection. 0 if none was under way.
        """
        waits = [(b.sent_ns, b.answered_ns) for b in self.beats]
        if self.unanswered_ns is not None and self.broken_ns is not None:
            waits.append((self.unanswered_ns, self.broken_ns))
        if self.waiting_ns is not None:
            waits.append((self.waiting_ns, t1_ns))
        return max((min(end, t1_ns) - sent for sent, end in waits if sent < t1_ns and end > t0_ns), default=0)
