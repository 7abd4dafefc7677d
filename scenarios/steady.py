"""The proof that a lab is as it should be: every service answers from every vantage, and no route moves any more."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from scenarios.answering import Answering, Asked, everything, not_to_ask
from scenarios.answers import PATIENT_S, reply_of
from scenarios.full_size import NoAnswer, unanswered_in_full_size
from scenarios.pings import answers_ping
from scenarios.waiting import wait_until
from topologies.contract import Contract
from topologies.linux.addresses import families
from topologies.linux.lab import LinuxLab

SETTLED_FOR_NS = 1_000_000_000
RESET_SETTLED_FOR_NS = 600_000_000
"""After a reset: BGP's own timers are far below it in a lab whose sessions are up, and there is a run waiting."""
LOOK_S = 0.1
AT_ONCE = 4
WAITED_FOR_AT_ONCE = 16
"""Of those who had no answer once: most of what is to be done is to wait."""
FULL_SIZE_TRIES = 3


PATIENT_AFTER_S = 5.0
"""A stack that comes up is asked often and briefly; one that has had so long, and whose services take their time, patiently."""


def answering(lab: LinuxLab, contract: Contract, *, patient: bool = False) -> Answering:
    """Every service asked from every vantage at each of its VIPs, but for families of which a vantage has no address. `patient`: who
    says nothing is asked once more, with as long for an answer as a request has."""
    vantages = tuple(v.name for v in lab.topology.nodes_with_role("client"))
    not_asked = not_to_ask({v: families(lab.netns(v)) for v in vantages}, contract)
    asked = [one for one in everything(vantages, contract) if one not in not_asked]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda q: reply_of(lab.netns(q[0]), contract.services[q[1]], q[2]), asked))
    found = list(zip(asked, replies, strict=True))
    if patient and (silent := [one for one, reply in found if reply.silent]):
        with ThreadPoolExecutor(WAITED_FOR_AT_ONCE) as pool:
            late = pool.map(lambda q: reply_of(lab.netns(q[0]), contract.services[q[1]], q[2], PATIENT_S), silent)
            found = list((dict(found) | dict(zip(silent, late, strict=True))).items())
    return Answering(
        vantages,
        {(v, s, vip): f"{v} → {s} {vip} ({reply.missing})" for (v, s, vip), reply in found if reply.missing},
        not_asked,
        {one: reply.carried for one, reply in found if reply.carried is not None and not reply.missing},
    )


def pinged(lab: LinuxLab, contract: Contract, known: Answering) -> Answering:
    """The same, and which VIPs that would be pinged answer no ping to which vantage."""
    asked = {(v, vip) for v, service, vip in known.answered(contract) if contract.services[service].protocol != "udp"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answered = list(pool.map(lambda q: answers_ping(lab.netns(q[0]), q[1]), asked))
    return replace(known, no_ping=frozenset(one for one, yes in zip(asked, answered, strict=True) if not yes))


def asked_in_full_size(lab: LinuxLab, contract: Contract, known: Answering) -> Answering:
    """The same, and where full-size packets have no answer: asked where small ones had, a few times where none comes; not to `tcp`
    services, to which nothing is said but what the contract says."""
    served = contract.services
    left = {one: NoAnswer("") for one in known.answered(contract) if served[one[1]].protocol != "tcp"}
    for number in range(FULL_SIZE_TRIES):
        with ThreadPoolExecutor(WAITED_FOR_AT_ONCE if number else AT_ONCE) as pool:
            found = list(pool.map(lambda q: unanswered_in_full_size(lab.netns(q[0]), served[q[1]], q[2]), left))
        left = {one: none for one, none in zip(left, found, strict=True) if none}
    with ThreadPoolExecutor(WAITED_FOR_AT_ONCE) as pool:  # what answers small ones no more tells nothing of a size
        small = list(pool.map(lambda q: reply_of(lab.netns(q[0]), served[q[1]], q[2], PATIENT_S).missing, left))
    unknown = {
        one: f"small ones have none now, either: {missing}" if missing else none.why
        for (one, none), missing in zip(left.items(), small, strict=True)
        if missing or none.ours
    }
    return replace(
        known, too_large={one: none.why for one, none in left.items() if one not in unknown}, size_unknown=unknown
    )


def unanswered(lab: LinuxLab, contract: Contract, *, patient: bool = True) -> dict[Asked, str]:
    """Why a service does not answer a vantage at a VIP, where it was asked and does not."""
    return dict(answering(lab, contract, patient=patient).unreached)


class Stillness:
    """Whether every node's addresses and routes have stayed as they are for so long; `since_ns` is when they last moved."""

    def __init__(self, lab: LinuxLab, for_ns: int = SETTLED_FOR_NS) -> None:
        self._lab, self._for_ns = lab, for_ns
        self._last: dict[str, frozenset[str]] = {}
        self.since_ns = 0

    def missing(self) -> str:
        """Empty once nothing has changed for that long."""
        looked_ns = time.monotonic_ns()
        now = dict(self._lab.snapshots(list(self._lab.topology.nodes)))
        moved = [n for n in now if now[n] != self._last.get(n)]
        if moved:
            self._last, self.since_ns = now, looked_ns
            return f"routes still change in {', '.join(moved[:4])}"
        return "" if time.monotonic_ns() - self.since_ns >= self._for_ns else "routes have only just settled"


@dataclass(frozen=True, slots=True)
class Steady:
    """Seconds until a lab was as it should be, and how many of them lay behind the last route that moved."""

    seconds: float
    beyond_routes: float


def wait_for_steady_state(
    lab: LinuxLab, contract: Contract | None, *, deadline_s: float, settled_for_ns: int = RESET_SETTLED_FOR_NS
) -> Steady:
    """Returns when the proof is there; without a contract, nobody is asked. Raises DeadlineMissed naming what was missing."""
    began = time.monotonic_ns()
    still = Stillness(lab, settled_for_ns)

    def missing() -> str:
        # Routes are cheaper to look at than services to ask, and have to rest in any case.
        if left := still.missing():
            return left
        patient = time.monotonic_ns() - began > PATIENT_AFTER_S * 1e9
        return "; ".join(unanswered(lab, contract, patient=patient).values()) if contract else ""

    wait_until(missing, deadline_s=deadline_s, every_s=LOOK_S, what=f"steady state of lab {lab.topology.name}")
    now = time.monotonic_ns()
    return Steady((now - began) / 1e9, (now - still.since_ns) / 1e9)
