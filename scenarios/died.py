"""Where the lost probes of a scenario died: joins what the wires noted with what was told of drops. Decides by probes.attribution."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from probes.attribution.reasons import Cause, Counted, Handed, Knowledge, Lost, Told, cause, totals, with_counters
from probes.attribution.silence import TOGETHER_NS, Span, silences
from probes.attribution.trail import Bits, Leg, places
from probes.flows import ANSWERED, NOT_SENT, FlowTrace
from probes.packets import ProbeFlow
from reports.evidence import schema
from scenarios.faults.base import FaultPlan
from scenarios.measured import Clock, Measured
from scenarios.protocols import ICMP, ICMP6, TCP, UDP, protocol_of
from topologies.linux.sights import ANSWER, CUT, Sight, Sights
from topologies.linux.wired import Links

ECHO = {ICMP: (8, 0), ICMP6: (128, 129)}
Seqs = NDArray[np.int64]
SYN_NUMBER = 0xFFFFFF
"""A SYN's sequence number carries so much of its probe's number, and above it 8 bits of its flow's id."""

FORGOTTEN = "too long ago to be noted"
"""The last 4,096 probes of a flow are noted: of one that was lost before, the kernel may know, and else nobody."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A flow and when its losses are looked at: probes due in [start, end)."""

    trace: FlowTrace
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Drops:
    """What was told of drops besides the wires: `told`: (vantage, flow id, sequence) → by the kernel, oldest first; `handed`:
    (vantage, flow id) → by nodes themselves; `counted`: counters that moved, where the kernel tells no single drops; `missing`: what
    could not be told, a sentence."""

    told: Mapping[tuple[str, int, int], Sequence[Told]] = field(default_factory=dict)
    handed: Mapping[tuple[str, int], Sequence[Handed]] = field(default_factory=dict)
    counted: Sequence[Counted] = ()
    missing: str = ""


NO_DROPS = Drops()


@dataclass(frozen=True, slots=True)
class Death:
    """A lost probe, when it was due, and why it is lost."""

    vantage: str
    flow: int
    due_ns: int
    cause: Cause


def deaths(
    flows: Sequence[Judged],
    sights: Sights,
    way_of: Callable[[int], tuple[str, str, str]],
    drops: Drops,
    *,
    dead: Collection[str] = (),
    severed: Collection[tuple[str, str]] = (),
    severed_ns: int = 0,
) -> list[Death]:
    """Every lost probe of these flows. `way_of` says who sends, who receives and the sender's interface by an end's number; `dead`
    are the nodes that the fault killed; `severed`: both ends, (node, interface), of links that were cut, and when."""
    noted = _Noted(sights, way_of)
    lost = [(one, *_lost(one)) for one in flows]
    dues = [one.trace.due[index] for one, index, _ in lost if len(index)]
    if not dues:
        return []
    silent = noted.silent(flows, min(int(d[0]) for d in dues), max(int(d[-1]) for d in dues))
    known = Knowledge(drops.told, drops.handed, silent, severed, severed_ns, dead)
    found = []
    for one, index, seq in lost:
        if not len(seq):
            continue
        flow = one.trace.flow
        seen = noted.legs(flow, seq)
        ends = noted.ends(flow)
        old = noted.forgotten(flow, seq)
        for i, number, forgotten, place in zip(index, seq, old, places(flow.vantage, len(seq), seen), strict=True):
            due = int(one.trace.due[i])
            unknown = forgotten and (place is None or place.toward is None)  # that it was cut is known all the same
            seen_as = int(number) & SYN_NUMBER if flow.transport == "tcp" else int(number)
            at = None if unknown else place
            why = cause(Lost(flow.vantage, flow.id, seen_as, due, int(one.trace.state[i]), at, ends), known)
            if unknown and not why.attributed:
                why = replace(why, reason=FORGOTTEN)
            found.append(Death(flow.vantage, flow.id, due, why))
    causes = with_counters([death.cause for death in found], drops.counted)
    return [replace(death, cause=why) for death, why in zip(found, causes, strict=True)]


def _lost(one: Judged) -> tuple[Seqs, Seqs]:
    """Indices and sequence numbers of the lost probes."""
    first, after = np.searchsorted(one.trace.due, (one.start_ns, one.end_ns))
    state = one.trace.state[first:after]
    index = np.flatnonzero((state != ANSWERED) & (state != NOT_SENT)) + first
    return index.astype(np.int64), one.trace.seq[index]


def keys_of(flow: ProbeFlow) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What the wires call this flow's probes and its answers: (flow, toward, protocol), see `Sight`."""
    if flow.transport == "tcp":
        address = ipaddress.ip_address(flow.src).packed[-4:]
        key = flow.id & 0xFF, int.from_bytes(address, "little"), TCP
        return key, key
    if flow.transport == "udp":
        return (
            (flow.id, flow.sport << 16 | flow.dport, UDP),
            (flow.id, flow.dport << 16 | flow.sport, UDP),
        )
    protocol = protocol_of(flow)
    request, reply = ECHO[protocol]
    return (flow.id, request, protocol), (flow.id, reply, protocol)


@dataclass(frozen=True, slots=True)
class Deaths:
    """All lost probes of a scenario: from the event to the heal, and from there on. `note`: what was not looked at."""

    fault: tuple[Death, ...] = ()
    reversion: tuple[Death, ...] = ()
    note: str = ""

    def by_flow(self) -> Mapping[tuple[str, int], list[Death]]:
        """(vantage, flow id) → its deaths."""
        found: dict[tuple[str, int], list[Death]] = defaultdict(list)
        for death in (*self.fault, *self.reversion):
            found[death.vantage, death.flow].append(death)
        return found


def within(some: Sequence[Death], start_ns: int, end_ns: int | None) -> list[Death]:
    """Those of probes due in [start, end)."""
    return [d for d in some if start_ns <= d.due_ns and (end_ns is None or d.due_ns < end_ns)]


def find_deaths(
    measured: Measured, clock: Clock, sights: Sights, lab: Links, plan: FaultPlan, drops: Drops = NO_DROPS
) -> Deaths:
    """Where all lost probes died, SYNs included."""
    severed = {(end.node, end.interface) for link in plan.links for end in link.endpoints}
    traces = [(f.trace, f.start_ns) for f in measured.flows] + [(a.trace, a.start_ns) for a in measured.attempts]

    def of(part: list[Judged]) -> tuple[Death, ...]:
        return tuple(
            deaths(
                part,
                sights,
                lab.way_of,
                drops,
                dead=plan.nodes if plan.kills else (),
                severed=severed,
                severed_ns=clock.event_ns,
            )
        )

    full = f"{sights.full} sights of probes found no room" if sights.full else ""
    return Deaths(
        of([Judged(trace, start, clock.heal_ns) for trace, start in traces]),
        of([Judged(trace, clock.heal_ns, clock.end_ns) for trace, _ in traces]),
        "; ".join(part for part in (full, drops.missing) if part),
    )


def died_of(found: Sequence[Death]) -> tuple[schema.Died, ...]:
    """How many died of each cause, the most frequent first."""
    return tuple(
        schema.Died(
            node=c.node,
            reason=c.reason,
            source=c.source,
            lost=count,
            interface=c.interface or None,
            toward=c.toward or None,
            answer=c.answer,
            words=c.words,
        )
        for c, count in totals(death.cause for death in found).causes
    )


def where_died(found: Sequence[Death], note: str = "") -> schema.WhereDied:
    """The deaths as evidence."""
    counted = totals(death.cause for death in found)
    return schema.WhereDied(lost=counted.lost, attributed=counted.attributed, causes=died_of(found), note=note)


class _Noted:
    """The wires' notes by flow."""

    def __init__(self, sights: Sights, way_of: Callable[[int], tuple[str, str, str]]) -> None:
        self._sights = sights
        self._way_of = way_of
        self._of: dict[tuple[int, int, int], list[Sight]] = defaultdict(list)
        for sight in sights.slots:
            self._of[sight.flow, sight.toward, sight.protocol].append(sight)

    def _leg(self, sight: Sight, answer: bool) -> Leg:
        return Leg(*self._way_of(sight.sender), answer, bool(sight.kind & CUT))

    def _sights_of(self, flow: ProbeFlow) -> list[tuple[Sight, bool]]:
        there, back = keys_of(flow)
        if flow.transport == "tcp":
            return [(s, bool(s.kind & ANSWER)) for s in self._of[there]]
        return [(s, False) for s in self._of[there]] + [(s, True) for s in self._of[back]]

    def legs(self, flow: ProbeFlow, seq: Seqs) -> list[tuple[Leg, Bits]]:
        """Every leg of the flow, and which of these probes were seen on it."""
        number = seq & SYN_NUMBER if flow.transport == "tcp" else seq
        merged: dict[Leg, Bits] = {}
        for sight, answer in self._sights_of(flow):
            leg, bits = self._leg(sight, answer), self._sights.has(sight, number)
            merged[leg] = merged[leg] | bits if leg in merged else bits
        return list(merged.items())

    def forgotten(self, flow: ProbeFlow, seq: Seqs) -> Bits:
        """Which of these probes were noted too long ago somewhere on the flow's ways."""
        number = seq & SYN_NUMBER if flow.transport == "tcp" else seq
        found = np.zeros(len(seq), np.bool_)
        for sight, _ in self._sights_of(flow):
            found |= self._sights.forgot(sight, number)
        return found

    def ends(self, flow: ProbeFlow) -> frozenset[str]:
        """The nodes at which its answers began."""
        legs = [self._leg(sight, answer) for sight, answer in self._sights_of(flow) if answer]
        return frozenset(leg.sender for leg in legs) - {leg.receiver for leg in legs}

    def silent(self, flows: Sequence[Judged], first_ns: int, last_ns: int) -> dict[str, tuple[Span, ...]]:
        """When, of what was due in [first, last], nodes were silent that were reached by some of it, of whatever flow. (What was
        answered was sent on, noted or not.)"""
        heard: dict[str, list[Seqs]] = defaultdict(list)
        reached: dict[str, list[Seqs]] = defaultdict(list)
        for one in flows:
            first, after = np.searchsorted(one.trace.due, (first_ns - TOGETHER_NS, last_ns + TOGETHER_NS + 1))
            due, unanswered = one.trace.due[first:after], one.trace.state[first:after] != ANSWERED
            for leg, bits in self.legs(one.trace.flow, one.trace.seq[first:after]):
                if bits.any() and not leg.cut:
                    heard[leg.sender].append(due[bits])
                    reached[leg.receiver].append(due[bits & unanswered])
        none = [np.zeros(0, np.int64)]
        return {
            node: silences(np.concatenate(dues), np.concatenate(heard.get(node, none)), first_ns, last_ns)
            for node, dues in reached.items()
        }
