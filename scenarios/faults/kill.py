"""Kill: links cut in one step, silently, then every process ended and XDP off; what killing a node and a region share."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.faults.base import FaultPlan
from scenarios.faults.crash_process import cut_off
from topologies.linux.lab import LinuxLab
from topologies.linux.wire import Instant


@dataclass
class KillFault:
    """Effective while not one frame arrives at a neighbour: counted by the neighbours' interfaces, not by what cut them."""

    lab: LinuxLab
    plan: FaultPlan
    _frames: int = 0

    def inject(self) -> Instant:
        instant = self.lab.kill(self.plan.nodes)
        self._frames = self.lab.frames_from(self.plan.nodes)
        return instant

    def missing_effect(self) -> str:
        alive = [n for n in self.plan.nodes if self.lab.pids(n)]
        if alive:
            return f"processes live on in {', '.join(alive)}"
        return self.missing_at_heal()

    def missing_at_heal(self) -> str:
        escaped = self.lab.frames_from(self.plan.nodes) - self._frames
        return f"{escaped} frames left {self.plan.target} after it was killed" if escaped else ""

    def heal(self) -> None:
        self.lab.restart(self.plan.nodes)

    def missing_heal(self) -> str:
        return cut_off(self.lab, self.plan.nodes)
