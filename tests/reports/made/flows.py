"""The probes of a made-up scenario: every transport and family, with outages of chosen lengths, as packed blocks.

It knows a plan and the evidence's packing, and nothing of verdicts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.evidence.histogram import histogram, pack_histogram
from reports.evidence.schema import (
    ANSWERED,
    CORRUPT,
    LOST,
    NOT_A_BACKEND,
    NOT_SENT,
    REFUSED,
    AnswerTimes,
    Episode,
    Flow,
    Flows,
    Packet,
    Transport,
    pack_u8,
    unpack_per_flow,
)
from tests.reports.made.plans import VANTAGES, Plan

INTERVAL_NS = 10_000_000
REQUEST_NS = 50_000_000
REQUESTED = ("web", "web-tls")
EARLIER = 4_000
"""Probes that the prober sent before the window."""
SECOND = 1_000_000_000
BEFORE, AFTER = 6 * SECOND, 14 * SECOND
_NAMED = bytes([0, *[NOT_A_BACKEND] * 255])


@dataclass(frozen=True)
class Kind:
    """One sort of probe; `share` is how many flows there are of it, as a share of those of UDP."""

    transport: Transport
    family: Literal[4, 6]
    service: str
    dport: int
    share: float

    @property
    def vip(self) -> str:
        number = 10 if self.service == "web" else 20
        return f"203.0.113.{number}" if self.family == 4 else f"2001:db8:f::{number}"


KINDS = (
    Kind("udp", 4, "echo", 7, 1.0),
    Kind("udp", 6, "echo", 7, 1.0),
    Kind("icmp", 4, "echo", 0, 0.2),
    Kind("icmp", 6, "echo", 0, 0.2),
    Kind("tcp", 4, "web", 80, 0.4),
    Kind("tcp", 6, "web", 80, 0.4),
)


def block(plan: Plan, vantage: str, kind: Kind, event_ns: int, dice: random.Random, flows: int = 50) -> Flows:
    """One vantage's probes: the touched flows of the hit vantage lose everything for a random part of the outage."""
    t0, t1 = event_ns - BEFORE, event_ns + AFTER
    count = (t1 - t0) // INTERVAL_NS
    made, states, backends = [], bytearray(), bytearray()
    at = VANTAGES.index(vantage)
    size = max(1, round(flows * kind.share))
    for n in range(size):
        touched = vantage == plan.hit and n < round(plan.touched * kind.share)
        first = t0 + n * INTERVAL_NS // size
        state = bytearray([ANSWERED]) * count
        start = -(-(event_ns - first) // INTERVAL_NS)
        if touched and plan.outage_ms[1]:
            # The first flow has the longest outage, so that the figures of a plan are exact.
            lost = (plan.outage_ms[1] if n == 0 else dice.randrange(*plan.outage_ms, 10)) // 10
            state[start : start + lost] = bytes([LOST]) * lost
        if plan.refused and vantage == plan.hit and kind.transport == "tcp":
            state[start : start + 22] = bytes([ANSWERED, REFUSED]) * 11
        for _ in range(plan.stray_losses):
            state[dice.randrange(count)] = LOST
        if kind.transport == "udp" and n < plan.unsent // 10:
            state[start + 40 : start + 50] = bytes([NOT_SENT]) * 10
        named = bytearray([n % 2]) * start + bytearray([(n + touched) % 2]) * (count - start)
        # NOT_A_BACKEND is all ones: where nobody answered it wins over any name.
        missing = bytes(state).translate(_NAMED)
        backends += (int.from_bytes(named, "big") | int.from_bytes(missing, "big")).to_bytes(count, "big")
        states += state
        made.append(
            Flow(
                id=1000 * KINDS.index(kind) + at * size + n,
                src=f"10.{at}.2.7" if kind.family == 4 else f"2001:db8:{at}::7",
                sport=40_000 + n,
                dst=kind.vip,
                dport=kind.dport,
                touched=touched,
                first_due_ns=first,
                count=count,
                way_before=n % 2,
                way_after=(n + touched) % 2,
            )
        )
    region = vantage.removesuffix("-client")
    return Flows(
        vantage=vantage,
        service=kind.service,
        interval_ns=INTERVAL_NS,
        t0_ns=t0,
        t1_ns=t1,
        event_ns=event_ns,
        backends=(f"{region}-l7-1", f"{region}-l7-2"),
        flows=tuple(made),
        state=pack_u8(states),
        backend=pack_u8(backends),
        transport=kind.transport,
        family=kind.family,
        ways=tuple((vantage, f"{region}-transit", f"{region}-l4-{n}", f"{region}-l7-{n}") for n in (1, 2)),
        answers=answers(plan, vantage == plan.hit, at),
    )


def requests(plan: Plan, vantage: str, service: str, family: Literal[4, 6], event_ns: int) -> Flows:
    """New requests of one vantage: each of its series fails while its flows do, and with wrong answers for a while longer."""
    t0, t1 = event_ns - BEFORE, event_ns + AFTER
    count = (t1 - t0) // REQUEST_NS
    number = 2 * REQUESTED.index(service) + (family == 6)
    first = t0 + number * REQUEST_NS // 4
    at, hit = VANTAGES.index(vantage), vantage == plan.hit
    start = -(-(event_ns - first) // REQUEST_NS)
    lost = -(-plan.outage_ms[1] * 1_000_000 // REQUEST_NS) if hit else 0
    wrong = plan.slow_ms * 1_000_000 // REQUEST_NS if hit else 0
    state = bytearray([ANSWERED]) * count
    state[start : start + lost + wrong] = bytes([LOST]) * lost + bytes([CORRUPT]) * wrong
    if plan.refused and hit:
        state[start : start + 4] = bytes([REFUSED]) * 4
    region = vantage.removesuffix("-client")
    return Flows(
        vantage=vantage,
        service=service,
        interval_ns=REQUEST_NS,
        t0_ns=t0,
        t1_ns=t1,
        event_ns=event_ns,
        backends=(f"{region}-l7-1", f"{region}-l7-2"),
        flows=(
            Flow(
                id=number,
                src=f"10.{at}.2.7" if family == 4 else f"2001:db8:{at}::7",
                sport=28_000 + 1536 * number,
                dst="203.0.113.10" if family == 4 else "2001:db8:f::10",
                dport=80 if service == "web" else 443,
                touched=hit,
                first_due_ns=first,
                count=count,
            ),
        ),
        state=pack_u8(state),
        backend=pack_u8(bytes(n % 2 if one == ANSWERED else NOT_A_BACKEND for n, one in enumerate(state))),
        transport="http",
        family=family,
    )


def answers(plan: Plan, hit: bool, seed: int) -> tuple[AnswerTimes, ...]:
    """How long answers took: about half a millisecond, and while the fault lasts a few of a vantage that it hit much longer."""
    dice = random.Random(seed)
    phases: tuple[Literal["control", "fault", "recovery"], ...] = ("control", "fault", "recovery")
    found = []
    for phase in phases:
        took = [round(dice.lognormvariate(0, 0.2) * 450_000) for _ in range(400)]
        if hit and phase == "fault" and plan.outage_ms[1]:
            took += [round(dice.uniform(1, 40) * 1_000_000) for _ in range(9)]
        found.append(AnswerTimes(phase=phase, histogram=pack_histogram(histogram(took))))
    return tuple(found)


def episodes(one: Flows, dice: random.Random) -> Iterator[Episode]:
    """The loss period of each touched flow, with the packets around its edges."""
    for flow, state in zip(one.flows, unpack_per_flow(one), strict=True):
        start = state.find(LOST)
        if start < 0 or not flow.touched or one.transport in ("tcp", "http"):
            continue
        lost = state.count(LOST)
        end = start + lost
        yield Episode(
            vantage=one.vantage,
            service=one.service,
            flow=flow.id,
            start_ns=flow.first_due_ns + start * one.interval_ns,
            end_ns=flow.first_due_ns + end * one.interval_ns,
            lost=lost,
            black_hole_ns=lost * one.interval_ns,
            censored=False,
            touched=True,
            packets=tuple(
                _packet(one, flow, seq, state[seq], dice)
                for seq in sorted({*range(start - 4, start + 4), *range(end - 4, end + 4)})
            ),
        )


def _packet(one: Flows, flow: Flow, seq: int, state: int, dice: random.Random) -> Packet:
    due = flow.first_due_ns + seq * one.interval_ns
    sent = due + dice.randrange(20_000, 900_000)
    return Packet(
        seq=EARLIER + seq,
        due_ns=due,
        state=state,
        tx_ns=sent,
        rx_ns=sent + dice.randrange(300_000, 1_400_000) if state == ANSWERED else None,
        backend=one.backends[seq % 2] if state == ANSWERED else None,
        ttl=60 if state == ANSWERED else None,
    )
