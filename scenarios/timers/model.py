"""A timer that a fault may start, and what a router says of a session: frozen values and the words for them.

Must not know which program told them, or how it was asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
Source = Literal["FRR", "BIRD", "keepalived", "HAProxy", "contract"]
Protocol = Literal["BGP", "OSPF"]
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, order=True)
class Peer:
    """Whom a session is with, as its node names it: by an address, by the interface that it is on, or by both."""

    protocol: Protocol
    address: str = ""
    interface: str = ""
    vrf: str = ""

    def __str__(self) -> str:
        return (
            self.interface
            if self.interface and self.address.startswith(("fe80:", "FE80:"))
            else self.address or self.interface
        )


@dataclass(frozen=True, slots=True)
class Session:
    """What a router says of one session. Lengths in ns.

    `silent_ns`: for at most so long nothing was read from the peer, None where it does not say. `ended_ns`: at least so long
    ago it ended, None where it does not say or is held. `restart_ns`: how long its routes outlive it, 0 where the peer does not
    restart gracefully; `restarting`: that time runs now.
    """

    peer: Peer
    held: bool
    hold_ns: int
    silent_ns: int | None = None
    ended_ns: int | None = None
    restart_ns: int = 0
    restarting: bool = False


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of a node that a fault may start: a plain phrase for a report, its length in ns, and who told it.

    `peer`: the session that can be asked whether it still runs; None where only its length tells. `restart`: it is the time for
    which routes outlive that session, which begins when the session ends.
    """

    node: str
    what: str
    length_ns: int
    source: Source
    peer: Peer | None = None
    restart: bool = False

    def __str__(self) -> str:
        return f"{self.what} at {self.node} ({self.source})" if self.node else f"{self.what} ({self.source})"


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of a node, and a sentence for each thing that could not be read."""

    found: tuple[Session, ...] = ()
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The timers in a configuration, and a sentence for each thing that could not be read."""

    timers: tuple[Timer, ...] = ()
    said: tuple[str, ...] = ()


def session_timers(node: str, session: Session, peer_name: str, source: Source) -> tuple[Timer, ...]:
    """The timers that the silence of the session's peer would start at this node; none where it is not held, or has no hold
    time. `peer_name` is the peer's node, empty where that is not known."""
    if not session.held or session.hold_ns <= 0:
        return ()
    peer = session.peer
    whom = f"{peer.protocol} session with {f'{peer_name} ({peer})' if peer_name else peer}"
    time = "dead interval" if peer.protocol == "OSPF" else "hold time"
    timers = [Timer(node, f"{time} of {whom}", session.hold_ns, source, peer)]
    if session.restart_ns > 0:
        # Routes outlive the session, which itself ends after its hold time at the latest.
        length = session.hold_ns + session.restart_ns
        timers.append(Timer(node, f"restart time of {whom}", length, source, peer, restart=True))
    return tuple(timers)


def longest_ns(timers: Iterable[Timer]) -> int:
    """Length of the longest of them, 0 where there is none."""
    return max((timer.length_ns for timer in timers), default=0)


def seconds_ns(text: str) -> int | None:
    """A time written in seconds, up to a day, as ns; None where the text is no such time."""
    if not _SECONDS.fullmatch(text):
        return None
    ns = round(float(text) * SECOND)
    return ns if ns <= DAY else None


def in_seconds(ns: int) -> str:
    """A length for a phrase: `0.61 s`."""
    return f"{ns / SECOND:.4g} s"
