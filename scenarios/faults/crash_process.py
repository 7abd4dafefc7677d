"""Crash of one process of a node: SIGKILL, with the node itself alive. Its supervisor, if it has one, may start it again."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.faults.base import FaultFailed, FaultPlan, kind_of
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab
from topologies.linux.wire import Instant
from topologies.problems import BadInput, Problem


def signalled(lab: LinuxLab, node: str, process: str, number: int) -> tuple[tuple[int, ...], Instant]:
    """Sends a signal to every process of that name in a node: who got it, and when. Raises FaultFailed where there is none."""
    before = time.monotonic_ns()
    got = lab.signal(node, process, number)
    if not got:
        there = ", ".join(sorted(set(lab.pids(node).values()))) or "none"
        raise FaultFailed(f"no process {process} in {node}; there are {there}")
    return got, Instant(before, time.monotonic_ns())


@dataclass
class CrashFault:
    """Effective when the processes that were there are gone. At the heal a node that has not brought the process back by
    itself is restarted whole."""

    lab: LinuxLab
    plan: FaultPlan
    process: str
    _killed: tuple[int, ...] = ()

    def inject(self) -> Instant:
        self._killed, instant = signalled(self.lab, self.plan.target, self.process, signal.SIGKILL)
        return instant

    def missing_effect(self) -> str:
        left = set(self._killed) & set(self.lab.processes(self.plan.target, self.process))
        return f"{self.process} lives on in {self.plan.target}" if left else ""

    def missing_at_heal(self) -> str:
        return self.missing_effect()

    def heal(self) -> None:
        if not self.lab.processes(self.plan.target, self.process):
            self.lab.kill([self.plan.target])
            self.lab.restart([self.plan.target])

    def missing_heal(self) -> str:
        return cut_off(self.lab, [self.plan.target])


def cut_off(lab: LinuxLab, nodes: Sequence[str]) -> str:
    """Which of these nodes are still cut off by us; empty when none is."""
    left = [node for node in nodes if lab.is_cut(node)]
    return f"the cut of all links of {', '.join(left)}" if left else ""


def chosen_process(contract: Contract, role: str | None) -> str:
    """The first process that the contract lists for a role. Raises BadInput where it lists none."""
    listed = contract.processes.get(role or "", ())
    if not listed:
        raise BadInput([Problem(contract.path, 0, f"processes.{role}", "nothing", "the processes that can fail")])
    return listed[0]


def crash_process(lab: LinuxLab, contract: Contract, node: str, process: str | None = None) -> CrashFault:
    """A crash of a process of `node`: the one named, or the first that the contract lists for its role. Raises BadInput where
    the contract lists none."""
    role = lab.topology.nodes[node].role
    chosen = process or chosen_process(contract, role)
    plan = FaultPlan(
        "crash-process",
        node,
        role,
        (node,),
        f"Crashed {chosen} of {kind_of(role)} {node}",
        f"{chosen} of {kind_of(role)} {node}",
        ends_connections=True,
        process=chosen,
    )
    return CrashFault(lab, plan, chosen)
