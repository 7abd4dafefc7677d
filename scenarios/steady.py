"""The proof that a lab is as it should be: every service answers from every vantage, and no route moves any more."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scenarios.answers import missing_answer
from scenarios.waiting import wait_until
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab

SETTLED_FOR_NS = 1_000_000_000
RESET_SETTLED_FOR_NS = 600_000_000
"""After a reset: BGP's own timers are far below it in a lab whose sessions are up, and there is a run waiting."""
LOOK_S = 0.1


Asked = tuple[str, str, str]
"""A vantage, the name of a service, and the VIP that it was asked at."""


def unanswered(lab: LinuxLab, contract: Contract) -> dict[Asked, str]:
    """Why a service does not answer a vantage at a VIP, where it does not."""
    asked = [
        (v.name, s, vip)
        for v in lab.topology.nodes_with_role("client")
        for s in contract.services.values()
        for vip in s.vip
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda q: missing_answer(lab.netns(q[0]), q[1], q[2]), asked)
    return {
        (vantage, service.name, vip): f"{vantage} → {service.name} {vip} ({why})"
        for (vantage, service, vip), why in zip(asked, answers, strict=True)
        if why
    }


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
        return "; ".join(unanswered(lab, contract).values()) if contract else ""

    wait_until(missing, deadline_s=deadline_s, every_s=LOOK_S, what=f"steady state of lab {lab.topology.name}")
    now = time.monotonic_ns()
    return Steady((now - began) / 1e9, (now - still.since_ns) / 1e9)
