"""Which timers still run, from when the fault began and from what routers said since. Pure; it asks nobody.

A timer is over when its length has passed, or earlier when its router says that the session is gone or was never silent. Either
way it counts for `SETTLE_NS` more, so that what its end does to clients is seen before the fault is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scenarios.timers.model import SECOND, Peer, Session, Timer

SETTLE_NS = 2 * SECOND
"""Forwarding Delay Threshold (RFC 6412): a probe is known to be lost only when it is so late. It holds the end of a hold time that
began with a message still in a queue at the event, too. No keepalive is added: a hold time begins with the last message that was
read, which no silent peer sent after the event."""
QUEUED_NS = SECOND // 2
"""So long after the event a message of a silenced peer may still be read: it was on its way, or in a queue of a busy host."""


def told_over_ns(timer: Timer, said: Session | None, at_ns: int, event_ns: int) -> int | None:
    """When the timer is over by what its router said at `at_ns` of the session; None where by that it may still run. `said` is None
    where the router knows of no such session any more."""
    if said is None:
        return at_ns + SETTLE_NS
    if said.held:
        silent_since = None if said.silent_ns is None else at_ns - said.silent_ns
        return at_ns if silent_since is not None and silent_since > event_ns + QUEUED_NS else None
    if timer.restart:
        return None if said.restarting else at_ns + SETTLE_NS
    return at_ns - (said.ended_ns or 0) + SETTLE_NS


def over_ns(timer: Timer, told: Mapping[Timer, int], event_ns: int) -> int:
    """When the timer is over, as far as is known now."""
    return min(event_ns + timer.length_ns + SETTLE_NS, told.get(timer, event_ns + timer.length_ns + SETTLE_NS))


def running(timers: Sequence[Timer], told: Mapping[Timer, int], event_ns: int, now_ns: int) -> tuple[Timer, ...]:
    """Those that still run, the longest first."""
    still = [timer for timer in timers if now_ns < over_ns(timer, told, event_ns)]
    return tuple(sorted(still, key=lambda timer: (-timer.length_ns, timer.node, timer.what)))


def heard(
    timers: Sequence[Timer],
    told: Mapping[Timer, int],
    answers: Mapping[str, tuple[int, Mapping[Peer, Session]]],
    event_ns: int,
) -> dict[Timer, int]:
    """`told` with what these answers add: node → when it was asked, and its sessions. What was told once stays."""
    found = dict(told)
    for timer in timers:
        if timer.peer is not None and timer.node in answers and timer not in found:
            at_ns, sessions = answers[timer.node]
            over = told_over_ns(timer, sessions.get(timer.peer), at_ns, event_ns)
            if over is not None:
                found[timer] = over
    return found


def to_ask(timers: Sequence[Timer], told: Mapping[Timer, int], event_ns: int, now_ns: int) -> tuple[str, ...]:
    """The nodes that could tell more: they have a session of which it is not known yet when its timer is over."""
    open_ones = [t for t in timers if t.peer and t not in told and now_ns < over_ns(t, told, event_ns)]
    return tuple(dict.fromkeys(t.node for t in open_ones))
