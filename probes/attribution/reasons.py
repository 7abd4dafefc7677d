"""Why a lost probe got no further than the last element that saw it, out of what was told of drops there. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from probes.attribution.silence import Span
from probes.attribution.trail import Place
from probes.flows import CORRUPT, FORWARDING_DELAY_THRESHOLD_NS, LATE, REFUSED, RESET

Source = Literal["cut", "kernel", "handed", "counter", "silence", "answer", "none"]
"""Who says why: the lab's own cut; the kernel's drop reason; the node itself, by the contract's `events`; the node's counters, where
the kernel tells no single drops; a node that did nothing more; the answer, which came, but late, corrupt or as a refusal; nobody."""

SILENT = "node silent"
"""Nothing at all came from it: where there is no other word."""

VAGUE = frozenset(("NOT_SPECIFIED", "XDP"))
"""Reasons of the kernel's that say no more than that a program or some function of it dropped the packet: the node knows better."""

CUT_TAKES_NS = 100_000_000
"""From when a link is told to lose its carrier until nothing leaves for it any more."""

SLACK_NS = 20_000_000
"""What a node hands over is stamped within this."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost probe of a flow by its id. `state` as in probes.flows; `ends_at`: the nodes at which probes of its flow were answered."""

    vantage: str
    flow: int
    seq: int
    due_ns: int
    state: int
    place: Place | None
    ends_at: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Told:
    """A drop told of one probe at a node, by the kernel. `interface` is empty where it names none."""

    node: str
    interface: str
    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Handed:
    """Drops that a node handed over, from its first to its last: of this flow, or (not `named`) of flows that it did not name."""

    node: str
    reason: str
    first_ns: int
    last_ns: int
    words: str = ""
    named: bool = True


@dataclass(frozen=True, slots=True)
class Cause:
    """Where and why probes died. `node` is empty where nobody saw them. `toward`: at the other end of the link that was cut. `words`
    are those for people of whoever gave the reason, empty where it has none."""

    node: str
    reason: str
    source: Source
    interface: str = ""
    toward: str = ""
    answer: bool = False
    words: str = ""

    @property
    def attributed(self) -> bool:
        """Whether both where and why are known."""
        return self.source != "none"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known of drops. `told`: (vantage, flow, sequence) → what the kernel told of it, oldest first; `handed`: (vantage,
    flow) → what nodes handed over; `silent`: node → when those probes were due that met its silence, from and to; `severed`: both
    ends, (node, interface), of links that the fault cut, and when; `dead`: nodes that it killed."""

    told: Mapping[tuple[str, int, int], Sequence[Told]] = field(default_factory=dict)
    handed: Mapping[tuple[str, int], Sequence[Handed]] = field(default_factory=dict)
    silent: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    severed: Collection[tuple[str, str]] = ()
    severed_ns: int = 0
    dead: Collection[str] = ()


def cause(lost: Lost, known: Knowledge) -> Cause:
    """Where and why this probe died."""
    answer = {LATE: "answered too late", CORRUPT: "answer corrupt", REFUSED: "refused", RESET: "reset"}.get(lost.state)
    told = list(known.told.get((lost.vantage, lost.flow, lost.seq), ()))
    place = lost.place
    if place is not None and place.toward is not None:
        reason = "link cut"
        if place.toward in known.dead or place.node in known.dead:
            reason = "node dead"
        return Cause(place.node, reason, "cut", place.interface, place.toward, place.answer)
    at_place = [t for t in told if place is None or t.node == place.node] or _in_the_queue(lost, told, known)
    said = _handed(lost, known)
    if at_place and (said is None or at_place[-1].reason not in VAGUE):
        last = at_place[-1]
        back = place.answer if place else False
        return Cause(last.node, last.reason, "kernel", last.interface, answer=back, words=last.words)
    if answer is not None:
        by = place.turned if place and place.turned and lost.state in (REFUSED, RESET) else place.node if place else ""
        return Cause(by, answer, "answer", answer=True)
    if place is None:
        if told:
            last = told[-1]
            return Cause(last.node, last.reason, "kernel", last.interface, words=last.words)
        return Cause("", "seen on no link", "none")
    if said is not None:
        return Cause(place.node, said.reason, "handed", answer=place.answer, words=said.words)
    if _under_way(lost, place, known):
        return Cause(place.via or "", "link cut", "cut", place.interface, place.node)
    if place.node in known.dead:
        return Cause(place.node, "node dead", "silence", answer=place.answer)
    if place.home:
        return Cause(place.node, "came back, and was not taken", "none", answer=True)
    if any(since <= lost.due_ns <= until for since, until in known.silent.get(place.node, ())):
        return Cause(place.node, SILENT, "silence", answer=place.answer)
    if place.node in lost.ends_at and not place.answer:
        return Cause(place.node, "not answered", "silence")
    return Cause(place.node, "not sent on", "none", answer=place.answer)


def _in_the_queue(lost: Lost, told: Sequence[Told], known: Knowledge) -> list[Told]:
    """What the kernel told of it at the sender: a probe is noted on a link before it gets into the queue there, and may die in that.
    (On a link that was cut meanwhile that is how the cut took it.)"""
    place = lost.place
    if place is None or _under_way(lost, place, known):
        return []
    return [t for t in told if t.node == place.via]


def _under_way(lost: Lost, place: Place, known: Knowledge) -> bool:
    """Whether it was on a link when that was cut: it left its one end, and nothing of it is known at the other."""
    on_link = place.via is not None and (place.via, place.interface) in known.severed
    return on_link and -CUT_TAKES_NS <= known.severed_ns - lost.due_ns <= FORWARDING_DELAY_THRESHOLD_NS


def _handed(lost: Lost, known: Knowledge) -> Handed | None:
    """What the last element said of this flow while the probe may have been there, or else of flows that it did not name."""
    latest = lost.due_ns + FORWARDING_DELAY_THRESHOLD_NS
    then = [
        one
        for one in known.handed.get((lost.vantage, lost.flow), ())
        if lost.place is not None
        and one.node == lost.place.node
        and one.first_ns - SLACK_NS <= latest
        and lost.due_ns <= one.last_ns + SLACK_NS
    ]
    return next((one for one in then if one.named), next(iter(then), None))


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter of drops that moved at a node while probes died."""

    node: str
    reason: str
    count: int
    words: str = ""


def with_counters(causes: Sequence[Cause], counted: Sequence[Counted]) -> list[Cause]:
    """The same causes; those that nobody explains, or silence alone, by what the node counted. A counter knows no packets, so it
    explains a node's only if it is the node's only one that moved by as many. (What counts IPv4 and IPv6 apart is one.)"""
    both: Counter[tuple[str, str]] = Counter()
    for one in counted:
        both[one.node, one.reason] += one.count
    words = {(one.node, one.reason): one.words for one in counted}
    counted = [Counted(node, reason, count, words[node, reason]) for (node, reason), count in both.items()]
    missing = Counter(c.node for c in causes if _unexplained(c))
    enough = [one for one in counted if one.count >= missing.get(one.node, 1)]
    only = {one.node: one for one in enough if sum(1 for other in enough if other.node == one.node) == 1}
    return [
        replace(c, reason=only[c.node].reason, source="counter", words=only[c.node].words)
        if _unexplained(c) and c.node in only
        else c
        for c in causes
    ]


def _unexplained(c: Cause) -> bool:
    return bool(c.node) and (not c.attributed or c.reason == SILENT)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many probes each cause took; lost = attributed + unattributed."""

    lost: int
    attributed: int
    causes: tuple[tuple[Cause, int], ...]

    @property
    def unattributed(self) -> int:
        return self.lost - self.attributed


def totals(causes: Iterable[Cause]) -> Totals:
    """Counts them, the most frequent first."""
    counted = Counter(causes)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0].node, item[0].reason, item[0].toward))
    return Totals(
        lost=sum(counted.values()),
        attributed=sum(n for c, n in counted.items() if c.attributed),
        causes=tuple(ordered),
    )
