"""What a fault class may cost clients, typed.

Must not know files or verdicts: a contract is read elsewhere, and what was measured is held against a budget elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class BrokenBudget:
    """How many established connections may break.

    `count`: at most `amount`; `percentage`: at most `amount` percent; `own`: those that ended at the failed element."""

    unit: Literal["count", "percentage", "own"]
    amount: float = 0.0

    def __str__(self) -> str:
        return "own" if self.unit == "own" else f"{self.amount:g}{'%' if self.unit == 'percentage' else ''}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a fault class may cost; durations in nanoseconds; None is not budgeted, hence not judged.

    Each limit is that of the key in topologies/budget/keys.py. `watch_ns` is no limit: for how long the fault is watched at least.
    `not_promised`: nothing is, elsewhere neither, and the class is not played; all else is None then."""

    black_hole_ns: int | None = None
    new_fail_ns: int | None = None
    request_fail_ns: int | None = None
    resolve_fail_ns: int | None = None
    latency_ns: int | None = None
    broken: BrokenBudget | None = None
    load_fail_percent: float | None = None
    recover_ns: int | None = None
    return_ns: int | None = None
    latency_steady_ns: int | None = None
    watch_ns: int | None = None
    elsewhere: Budget | None = None
    not_promised: bool = False

    @property
    def untouched(self) -> Budget:
        """For what was not touched: `elsewhere`, and of losses nothing at all wherever it is silent."""
        given = self.elsewhere or Budget()
        return replace(
            given,
            black_hole_ns=given.black_hole_ns or 0,
            new_fail_ns=given.new_fail_ns or 0,
            request_fail_ns=given.request_fail_ns or 0,
            resolve_fail_ns=given.resolve_fail_ns or 0,
            broken=given.broken or BrokenBudget("count"),
        )

    @property
    def judges_touched(self) -> bool:
        """Whether there is a limit for what was touched. `return` is none: it is judged of the stack, once the fault is healed."""
        limits = (
            *(self.black_hole_ns, self.new_fail_ns, self.request_fail_ns, self.resolve_fail_ns, self.latency_ns),
            *(self.broken, self.load_fail_percent, self.recover_ns),
        )
        return any(limit is not None for limit in limits)

    @property
    def has_limits(self) -> bool:
        """Whether anything is limited at all; what is only watched is not judged."""
        others = (self.return_ns, self.latency_steady_ns, self.elsewhere)
        return self.judges_touched or any(limit is not None for limit in others)
