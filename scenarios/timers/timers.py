"""The timers that one fault may start: read before it, asked for while it stands. Thin; running.py decides, reading.py asks.

kept = Kept()                                     # once a run
timers = Timers.before(lab, plan, kept=kept)      # before each act
timers.running(lab, event_ns, now_ns)             # again and again, once 4 s were quiet
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from scenarios.faults.base import FaultPlan
from scenarios.timers import running as decide
from scenarios.timers.model import SECOND, Peer, Session, Source, Timer, longest_ns, session_timers
from scenarios.timers.peers import Whereabouts, may_be_silenced, silences_nothing
from scenarios.timers.reading import (
    NodeTimers,
    Programs,
    address_owners,
    ask_all,
    programs,
    read_node,
    read_sessions,
)
from topologies.linux.lab import LinuxLab

PROGRAMS = frozenset({"bgpd", "ospfd", "bird", "bird6", "keepalived", "haproxy"})
FIRST_ASK_NS = 4 * SECOND  # sooner nobody is asked: the fault stands for 5 quiet seconds anyway
EVERY_NS = SECOND


@dataclass
class Kept:
    """What was read of each node in a run, with the processes that it was read of: while they live it cannot change, where all
    sessions were held."""

    nodes: dict[str, tuple[Programs, NodeTimers]] = field(default_factory=dict)


@dataclass
class Timers:
    """`timers`: those that this fault may start. `stack_ns`: length of the longest in the whole stack, in ns. `unanswered`: a
    sentence for each node that gave none; `said`: one for each thing that could not be read."""

    timers: tuple[Timer, ...]
    stack_ns: int = 0
    unanswered: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    _programs: Mapping[str, Programs] = field(default_factory=dict)
    _told: dict[Timer, int] = field(default_factory=dict)
    _asked_ns: int = 0

    @classmethod
    def before(
        cls, lab: LinuxLab, plan: FaultPlan, *, process: str = "", watch_ns: int | None = None, kept: Kept | None = None
    ) -> Timers:
        """Reads what this fault may start; it touches nothing. `process` is what alone is crashed or frozen, where something is;
        `watch_ns` what the contract wants watched."""
        kept = Kept() if kept is None else kept
        alive = programs(lab)
        found = {n: {p: pids for p, pids in had.items() if p in PROGRAMS} for n, had in alive.items()}
        stale = [n for n, had in found.items() if had and (n not in kept.nodes or kept.nodes[n][0] != had)]
        answers, unanswered = ask_all(stale, lambda node: read_node(lab, node, found[node]))
        if unanswered:  # once more: a host may have been busy, and what they hold up may be what this fault costs
            again, unanswered = ask_all(
                [n for n in stale if n not in answers], lambda node: read_node(lab, node, found[node])
            )
            answers |= again
        read = {n: kept.nodes[n][1] for n, had in found.items() if had and n not in stale} | answers
        kept.nodes = {n: (found[n], told) for n, told in read.items() if told.settled}

        place = Whereabouts(lab.topology, address_owners(lab))
        every = [(t, t.peer) for node, told in read.items() for t in _timers_of(node, told, place)]
        spared = silences_nothing(process, {p for n in plan.nodes for p in alive[n]})
        may_start = [
            timer
            for timer, peer in every
            if (
                may_be_silenced(place, timer.node, peer, plan) and not spared
                if peer
                else _checks_go_on(timer, plan, process)
            )
        ]
        if watch_ns:
            may_start.append(Timer("", "the contract's watch", watch_ns, "contract"))
        said = [f"{node}: {s}" for node, told in read.items() for s in _said(told)]
        stack_ns = longest_ns([*may_start, *(timer for timer, _ in every)])
        return cls(tuple(may_start), stack_ns, unanswered, tuple(said), found)

    @property
    def known(self) -> bool:
        """Whether there is any; without one nobody knows how long is long enough."""
        return bool(self.timers)

    @property
    def longest_ns(self) -> int:
        """From the event until the last of them is over at the latest, 0 where there is none."""
        return longest_ns(self.timers) + decide.SETTLE_NS if self.timers else 0

    def running(self, lab: LinuxLab, event_ns: int, now_ns: int) -> tuple[Timer, ...]:
        """Those that still run, the longest first. It asks routers where that may make a difference, once a second at most, and
        waits a second at most for each; a router that does not answer leaves its timers as they were."""
        if now_ns - event_ns >= FIRST_ASK_NS and now_ns - self._asked_ns >= EVERY_NS:
            self._asked_ns = now_ns
            nodes = decide.to_ask(self.timers, self._told, event_ns, now_ns)
            answers, _ = ask_all(nodes, lambda node: _sessions_now(lab, node, self._programs[node]))
            self._told = decide.heard(self.timers, self._told, answers, event_ns)
        return decide.running(self.timers, self._told, event_ns, now_ns)


def _timers_of(node: str, told: NodeTimers, place: Whereabouts) -> list[Timer]:
    of_sessions = [
        timer
        for source, sessions in told.sessions.items()
        for session in sessions.found
        for timer in session_timers(node, session, place.node_of(node, session.peer), source)
    ]
    return [*of_sessions, *told.files.timers]


def _said(told: NodeTimers) -> list[str]:
    return [s for sessions in told.sessions.values() for s in sessions.said] + list(told.files.said)


def _checks_go_on(timer: Timer, plan: FaultPlan, process: str) -> bool:
    """Whether what checks is not itself what the fault takes."""
    checker: Mapping[Source, str] = {"HAProxy": "haproxy", "keepalived": "keepalived"}
    return timer.node not in plan.nodes or not (plan.kills or process == checker.get(timer.source))


def _sessions_now(lab: LinuxLab, node: str, running: Programs) -> tuple[int, dict[Peer, Session]]:
    """When the node was asked, and its sessions. Raises NoAnswer."""
    asked_ns = time.monotonic_ns()
    told = read_sessions(lab, node, running)
    return asked_ns, {s.peer: s for sessions in told.values() for s in sessions.found}
