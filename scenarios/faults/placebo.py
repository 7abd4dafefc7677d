"""A fault that breaks nothing: what is measured and judged of it is the instrument's own doing, and none of it may be lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scenarios.faults.base import FaultPlan
from topologies.budget import BrokenBudget
from topologies.contract import Budget, Contract
from topologies.linux.wire import Instant

PLACEBO = "placebo"
NOTHING = Budget(black_hole_ns=0, new_fail_ns=0, broken=BrokenBudget("count"))


@dataclass
class Placebo:
    """Effective and healed at once."""

    plan: FaultPlan

    def inject(self) -> Instant:
        now = time.monotonic_ns()
        return Instant(now, now)

    def missing_effect(self) -> str:
        return ""

    def missing_at_heal(self) -> str:
        return ""

    def heal(self) -> None:
        """There is nothing to heal."""

    def missing_heal(self) -> str:
        return ""


def placebo(nodes: Sequence[str]) -> Placebo:
    """Breaks nothing at these nodes: every flow that crosses one of them counts as touched."""
    plan = FaultPlan(PLACEBO, "nothing", None, tuple(nodes), "Broke nothing", f"nothing at {', '.join(nodes)}")
    return Placebo(plan)


def allowing_nothing(contract: Contract) -> Contract:
    """The contract with a budget for it: nothing lost, nothing broken."""
    return replace(contract, budgets={**contract.budgets, PLACEBO: NOTHING})
