"""Freeze of one process of a node: SIGSTOP, a gray failure. Its sockets stay: the kernel goes on accepting connections and
acknowledging data that nobody will read, so only who waits for an answer can notice."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from scenarios.faults.base import FaultPlan, kind_of
from scenarios.faults.crash_process import chosen_process, signalled
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab
from topologies.linux.wire import Instant


@dataclass
class FreezeFault:
    """Effective while every process that was there is stopped, as the kernel says. The heal lets them go on."""

    lab: LinuxLab
    plan: FaultPlan
    process: str
    _frozen: tuple[int, ...] = ()

    def inject(self) -> Instant:
        self._frozen, instant = signalled(self.lab, self.plan.target, self.process, signal.SIGSTOP)
        return instant

    def missing_effect(self) -> str:
        running = [pid for pid in self._frozen if not self.lab.stopped(pid)]
        return f"{self.process} in {self.plan.target} is not stopped" if running else ""

    def missing_at_heal(self) -> str:
        return self.missing_effect()

    def heal(self) -> None:
        self.lab.signal(self.plan.target, self.process, signal.SIGCONT)

    def missing_heal(self) -> str:
        left = [pid for pid in self._frozen if self.lab.stopped(pid)]
        return f"the stop of {self.process} in {self.plan.target}" if left else ""


def freeze_process(lab: LinuxLab, contract: Contract, node: str, process: str | None = None) -> FreezeFault:
    """A freeze of a process of `node`: the one named, or the first that the contract lists for its role. Raises BadInput where
    the contract lists none."""
    role = lab.topology.nodes[node].role
    chosen = process or chosen_process(contract, role)
    element = f"{chosen} of {kind_of(role)} {node}"
    plan = FaultPlan(
        "freeze-process", node, role, (node,), f"Froze {element}", element, ends_connections=True, process=chosen
    )
    return FreezeFault(lab, plan, chosen)
