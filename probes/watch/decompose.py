"""Where the milliseconds of a failover went: fault → detection or a timer → withdrawal → FIB → first packet on the new path.

Pure: it knows events, what failed and when packets came back; it must not know how any of that was found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from probes.watch.bgp import HOLD_TIMER_EXPIRED
from probes.watch.event import TimelineEvent
from probes.watch.waits import UNSEEN_NS, Step, Wait, explained, until_first_packet
from reports.evidence.schema import Stage, StageName

_DETECTS = frozenset((("bfd", "down"), ("bfd", "admin-down"), ("bgp", "notification"), ("link", "down")))
_MESSAGES = frozenset(("withdraw", "update"))
_ROUTES = frozenset(("replace", "delete"))
_LEAVING = frozenset(("draining", "drain", "withdraw"))
_TAKES_OVER = frozenset((("link", "address-added"), ("neighbour", "reachable")))
_WORD = re.compile(r"[\w.:-]+")


@dataclass(frozen=True, slots=True)
class Failure:
    """What was done, and when: the Convergence Event Instant (RFC 6412), known within `acc_ns`.

    `nodes` failed whole (or left, when `planned`); `ends` are failed links by (node, interface), both ends of each.
    `names` are further words for what failed, such as addresses in the details of health events. `destinations` are the
    addresses or prefixes that touched flows are routed to, there and back; empty: any route may matter.
    """

    t_ns: int
    acc_ns: int = 0
    nodes: frozenset[str] = frozenset()
    ends: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[str] = frozenset()
    destinations: frozenset[str] = frozenset()
    planned: bool = False

    def detected_by(self, event: TimelineEvent) -> bool:
        """Whether a live node noticed by this that what failed is gone."""
        if event.node in self.nodes:
            return False
        about = event.peer in self.nodes or (event.node, event.interface) in self.ends
        if (event.source, event.what) in _DETECTS:
            return about
        named = self.nodes | self.names
        return event.what == "unhealthy" and (about or not named.isdisjoint(_WORD.findall(event.detail)))

    def changes_forwarding(self, event: TimelineEvent) -> bool:
        """Whether by this a live node began to forward what is concerned in another way."""
        if event.node in self.nodes and not self.planned:
            return False
        route = event.source == "fib" and event.what in _ROUTES
        return (route and self._concerns(event.prefix)) or event.what == "table"

    def withdraws(self, event: TimelineEvent) -> bool:
        """Whether by this a node told a neighbour of another way, or of none."""
        if event.node in self.nodes and not self.planned:
            return False
        return event.source == "bgp" and event.what in _MESSAGES and self._concerns(event.prefix)

    def takes_over(self, event: TimelineEvent) -> bool:
        """Whether by this a live node took an address that was another's, or heard who has it now."""
        about_it = event.node in self.nodes or event.peer in self.nodes
        return (event.source, event.what) in _TAKES_OVER and not about_it

    def _concerns(self, prefix: str | None) -> bool:
        return prefix is None or not self.destinations or any(_covers(prefix, to) for to in self.destinations)


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """When the last touched flow was answered again (or, where nothing was lost, took its new path), within `acc_ns`;
    `node` is where that was seen."""

    t_ns: int
    acc_ns: int = 0
    node: str | None = None


@lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def _covers(prefix: str, destination: str) -> bool:
    whole, part = _network(prefix), _network(destination)
    if isinstance(whole, IPv4Network):
        return isinstance(part, IPv4Network) and part.subnet_of(whole)
    return isinstance(part, IPv6Network) and part.subnet_of(whole)


def decompose(
    events: Iterable[TimelineEvent],
    failure: Failure,
    first_packet: FirstPacket | None,
    on_path: Collection[str] | None = None,
    waits: Sequence[Wait] = (),
) -> tuple[Stage, ...]:
    """The stages, each beginning where the one before ended, the first at the failure; together they last until the
    first packet. They follow one chain of causes backwards: from the last FIB change before that packet (at a node of
    `on_path`, where the new path is known), to the message that made that node change it, to the first notice of the
    node that sent it. A stage that was not seen is absent. Without a first packet the chain ends at its FIB change.

    What lasted longer than its events explain is a wait: one of `waits`, where it fits, else `unexplained`.

    Raises ValueError when the first packet is not after the failure.
    """
    if first_packet is not None and first_packet.t_ns < failure.t_ns:
        raise ValueError("the first packet on the new path cannot be older than the failure")
    end_ns = None if first_packet is None else first_packet.t_ns
    window = sorted(
        (e for e in events if e.t_ns >= failure.t_ns and (end_ns is None or e.t_ns - e.acc_ns <= end_ns)),
        key=lambda e: e.t_ns,
    )
    noticed = [] if failure.planned else [e for e in window if failure.detected_by(e)]
    since_ns = noticed[0].t_ns - noticed[0].acc_ns if noticed else failure.t_ns
    later = [e for e in window if e.t_ns >= since_ns]
    changes = [e for e in later if failure.changes_forwarding(e) and (on_path is None or e.node in on_path)]
    change = changes[-1] if changes else None
    message = _message(later, failure, noticed, changes)
    notice = _notice(noticed, message, change)
    if notice is not None and not _heard_of(notice, message or change, later, failure):
        notice = None
    steps = [
        Step(name, event.t_ns, event.acc_ns, event.node, _sentence(event))
        for name, event in ((_detection(notice), notice), ("withdrawal", message), ("fib", change))
        if event is not None
    ]
    last = None if first_packet is None else Step("first-packet", end_ns or 0, first_packet.acc_ns, first_packet.node)
    if failure.planned:
        return _stages(failure.t_ns, [*steps, *([last] if last else [])])
    steps = explained(failure.t_ns, steps, waits)
    if last is not None:
        seen = [Step("first-packet", e.t_ns, e.acc_ns, e.node, _sentence(e)) for e in window if failure.takes_over(e)]
        steps = until_first_packet(failure.t_ns, steps, last, waits, seen)
    return _stages(failure.t_ns, steps)


def _detection(notice: TimelineEvent | None) -> StageName:
    """What a notice came by."""
    if notice is not None and notice.what == "unhealthy":
        return "health-check"
    if notice is not None and notice.source == "bgp" and notice.detail == HOLD_TIMER_EXPIRED:
        return "hold-timer"
    return "detection"


def _heard_of(
    notice: TimelineEvent, effect: TimelineEvent | None, window: Sequence[TimelineEvent], failure: Failure
) -> bool:
    """Whether an effect may be due to that notice: its own node's, or one that messages brought from node to node. What was not seen
    of that is believed in for a short time only."""
    if effect is None or effect.t_ns - notice.t_ns <= UNSEEN_NS:
        return True
    knows = {notice.node}
    for e in window:
        if notice.t_ns <= e.t_ns <= effect.t_ns and failure.withdraws(e) and e.node in knows and e.peer is not None:
            knows.add(e.peer)
    return effect.node in knows


def _message(
    window: Sequence[TimelineEvent],
    failure: Failure,
    noticed: Sequence[TimelineEvent],
    changes: Sequence[TimelineEvent],
) -> TimelineEvent | None:
    """What made the last change happen, if it was told and not noticed by that node itself."""
    sent = [e for e in window if failure.withdraws(e)]
    if not changes:
        return sent[-1] if sent else None
    change = changes[-1]
    told = [e for e in sent if e.peer == change.node and e.t_ns <= change.t_ns and change.prefix in (None, e.prefix)]
    earlier = [c.t_ns for c in changes[:-1] if c.node == change.node and c.prefix == change.prefix]
    recent = [e for e in told if earlier and e.t_ns > max(earlier)]
    if any(e.node == change.node and e.t_ns <= change.t_ns for e in noticed):
        told = recent  # the first change after a node's own notice needs no message; a later one does
    elif recent:
        told = recent
    # A neighbour's first word takes its way away (or offers one); what it says while the change is pending adds nothing. A
    # node that heard of the end of several ways waited for the last of them.
    first_words: dict[str, TimelineEvent] = {}
    for event in told:
        first_words.setdefault(event.node, event)
    if first_words:
        return max(first_words.values(), key=lambda e: e.t_ns)
    leaving = [e for e in window if e.node in failure.nodes and e.what in _LEAVING and e.t_ns <= change.t_ns]
    return leaving[-1] if failure.planned and leaving else None


def _notice(
    noticed: Sequence[TimelineEvent], message: TimelineEvent | None, change: TimelineEvent | None
) -> TimelineEvent | None:
    """The first notice of the node where the chain begins; of anybody, where that node was told by others."""
    effect = message or change
    before = [e for e in noticed if effect is None or e.t_ns - e.acc_ns <= effect.t_ns]
    own = [e for e in before if effect is not None and e.node == effect.node]
    return next(iter([*own, *before]), None)


def _stages(at_ns: int, steps: Sequence[Step]) -> tuple[Stage, ...]:
    stages = []
    for step in steps:
        # a stamp may be late within its accuracy, and then no stage ends after the last one
        end = min(max(at_ns, step.t_ns), max(at_ns, steps[-1].t_ns))
        stages.append(
            Stage(name=step.name, start_ns=at_ns, end_ns=end, acc_ns=step.acc_ns, node=step.node, detail=step.detail)
        )
        at_ns = end
    return tuple(stages)


def _sentence(event: TimelineEvent) -> str:
    about = event.prefix or event.peer or ""
    told = f" to {event.peer}" if event.source == "bgp" and event.prefix and event.peer else ""
    head = " ".join(part for part in (event.source, event.what, about) if part) + told
    return f"{head}: {event.detail}" if event.detail else head
