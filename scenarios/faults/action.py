"""Faults that are an action of the contract, run in the node: what drain and withdraw share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from scenarios.faults.base import FaultFailed, FaultPlan
from topologies.contract import Action, Contract
from topologies.linux.lab import LinuxLab
from topologies.linux.wire import Instant
from topologies.problems import BadInput, Problem

ACTION_S = 5.0  # exit 0 within this, says the contract
IDLE_NS = 500_000_000
ANSWERING = ("l7", "app")  # roles where clients' flows end
TCP = 6


@dataclass
class ActionFault:
    """Effective when the node carries no client's frame any more. One that answers clients itself (an L7 node) may go on with
    the UDP flows it had, since nothing tells when such a flow is over; its connections have to be gone."""

    lab: LinuxLab
    contract: Contract
    plan: FaultPlan
    action: Action
    undo: Action
    _began_ns: int = 0

    def __post_init__(self) -> None:
        if not self.contract.action(self.plan.role or "", self.action):
            raise BadInput(
                [
                    Problem(
                        self.contract.path,
                        0,
                        f"actions.{self.plan.role}.{self.action}",
                        "nothing",
                        f"the command that makes a node {self.action}",
                    )
                ]
            )

    def _run(self, action: Action) -> Instant:
        argv = self.contract.action(self.plan.role or "", action) or ()
        before = time.monotonic_ns()
        done = self.lab.exec(self.plan.target, argv, timeout_s=ACTION_S + 5)
        after = time.monotonic_ns()
        if done.code != 0:
            raise FaultFailed(
                f"`{' '.join(argv)}` in {self.plan.target} ended with {done.code}: {(done.err or done.out).strip()}"
            )
        if after - before > ACTION_S * 1e9:
            raise FaultFailed(
                f"`{' '.join(argv)}` in {self.plan.target} took {(after - before) / 1e9:.1f} s; the contract gives it {ACTION_S:g} s"
            )
        return Instant(before, after)

    def inject(self) -> Instant:
        # The event is when the action begins: whatever it loses on its way counts.
        self._began_ns = time.monotonic_ns()
        done = self._run(self.action)
        return Instant(done.before_ns, done.before_ns)

    def missing_effect(self) -> str:
        vips = {vip for service in self.contract.services.values() for vip in service.vip}
        now = time.monotonic_ns()
        busy = [
            c.flow
            for c in self.lab.tapped()
            if c.receiver == self.plan.target and c.flow.dst in vips and now - c.seen.last_ns < IDLE_NS
            if not (self.plan.role in ANSWERING and c.flow.protocol != TCP and c.seen.first_ns < self._began_ns)
        ]
        return f"{self.plan.target} still carries {len(busy)} flows to a VIP" if busy else ""

    def missing_at_heal(self) -> str:
        return self.missing_effect()

    def heal(self) -> None:
        self._run(self.undo)

    def missing_heal(self) -> str:
        return ""  # whether it serves again shows in its routes, and in the recovery
