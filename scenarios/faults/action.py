"""Faults that are an action of the contract, run in the node: what drain and withdraw share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from scenarios.faults.base import ActionRefused, FaultPlan
from scenarios.next_hops import next_hops
from scenarios.protocols import TCP
from scenarios.touching import SYN_PORT
from topologies.contract import Action, Contract
from topologies.linux.lab import LinuxLab
from topologies.linux.wire import Instant
from topologies.linux.wired import Crossing
from topologies.problems import BadInput, Problem
from topologies.runtime import CommandTooLate, RuntimeFailure

IDLE_NS = 500_000_000
"""A flow of which for so long no packet came is over."""
SHOWN_NS = 500_000_000
"""By then a new flow has come to a node that still gets any: every service is asked at least that often."""


def _began_ns(c: Crossing) -> int:
    """When the newest connection of a flow began: that of SYNs with its last one; an established one of TCP began before."""
    if c.flow.protocol == TCP:
        return c.seen.last_ns if c.flow.sport == SYN_PORT else 0
    return c.seen.first_ns


@dataclass
class ActionFault:
    """A drain is effective when the node carries no new flow any more: what was established may stay.

    A withdrawal is when no neighbour has a route to a VIP by way of it any more; where none had one (behind a switch), as a drain is.
    """

    lab: LinuxLab
    contract: Contract
    plan: FaultPlan
    action: Action
    undo: Action
    _ended_ns: int = 0
    _routed: bool = False

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
        """Raises ActionRefused where the action ends with an error, or later than the contract allows."""
        argv = self.contract.action(self.plan.role or "", action) or ()
        within_s = self.contract.within_ns(self.plan.role or "") / 1e9
        called = f"`{' '.join(argv)}` in {self.plan.target}"
        before = time.monotonic_ns()
        try:
            done = self.lab.exec(self.plan.target, argv, timeout_s=within_s + 5)
        except RuntimeFailure as error:
            raise ActionRefused(f"refused to {action}: {error}", late=isinstance(error, CommandTooLate)) from error
        after = time.monotonic_ns()
        if done.code != 0:
            said = (done.err or done.out).strip() or "it said nothing"
            raise ActionRefused(f"refused to {action}: {called} ended with {done.code}: {said}")
        if after - before > within_s * 1e9:
            took = f"{(after - before) / 1e9:.1f} s"
            raise ActionRefused(f"refused to {action}: {called} took {took}; it is given {within_s:g} s", late=True)
        return Instant(before, after)

    def inject(self) -> Instant:
        # The event is when the action begins: whatever it loses on its way counts.
        self._routed = bool(self._routes())
        done = self._run(self.action)
        self._ended_ns = time.monotonic_ns()
        return Instant(done.before_ns, done.before_ns)

    def missing_effect(self) -> str:
        if self.action == "withdraw" and self._routed:
            left = self._routes()
            return f"{left[0]}" if left else ""
        new = self._new_flows()
        if new:
            return f"{self.plan.target} still carries {len(new)} new flows to a VIP"
        early = time.monotonic_ns() - self._ended_ns < SHOWN_NS
        return (
            f"new flows to {self.plan.target} would show {SHOWN_NS / 1e9:g} s after its {self.action}" if early else ""
        )

    def _new_flows(self) -> list[Crossing]:
        """Flows to a VIP that began after the action had ended, and that the node answers or passes on.

        Of TCP these are its SYNs, since the last packets of what ended elsewhere may come by. Of UDP services alone, where nothing
        begins, they are all flows.
        """
        vips = {vip for service in self.contract.services.values() for vip in service.vip}
        begin_anew = any(service.transport == "tcp" for service in self.contract.services.values())
        now = time.monotonic_ns()
        recent = [c for c in self.lab.tapped() if now - c.seen.last_ns < IDLE_NS]
        sent = {c.flow for c in recent if c.sender == self.plan.target}
        return [
            c
            for c in recent
            if c.receiver == self.plan.target and c.flow.dst in vips
            if c.flow in sent or c.flow.reversed() in sent
            if not begin_anew or _began_ns(c) > self._ended_ns
        ]

    def _routes(self) -> list[str]:
        """Which neighbours have a route to a VIP by way of the node."""
        vips = [vip for service in self.contract.services.values() for vip in service.vip]
        found = []
        for mine, peer in ((a, b) for pair in self.lab.pairs() for a, b in (pair, pair[::-1])):
            if mine.node == self.plan.target:
                reached = next_hops(self.lab.snapshot(peer.node), vips)
                found += [
                    f"{peer.node} still has its route to {vip}" for vip, hops in reached.items() if peer.index in hops
                ]
        return found

    def missing_at_heal(self) -> str:
        return self.missing_effect()

    def heal(self) -> None:
        self._run(self.undo)

    def missing_heal(self) -> str:
        return ""  # what was done, the stack did: whether it serves again is asked of the stack
