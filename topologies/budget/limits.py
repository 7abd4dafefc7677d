"""The limits that hold for what a fault touched: those of the budget, and those that follow from it. Pure.

Must not know what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from topologies.budget.model import BrokenBudget, Budget

FALLBACK_NS = 100_000_000
"""A request needs a connection and an answer: who promised only that connections come back fast gets no less for requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What each key allows; durations in nanoseconds; None: no limit. `request_fail_from`: the key that stood in, if one did."""

    black_hole_ns: int | None = None
    new_fail_ns: int | None = None
    request_fail_ns: int | None = None
    resolve_fail_ns: int | None = None
    latency_ns: int | None = None
    broken: BrokenBudget | None = None
    load_fail_percent: float | None = None
    recover_ns: int | None = None
    return_ns: int | None = None
    request_fail_from: Literal["new_fail", "black_hole"] | None = None

    @property
    def longest_ns(self) -> int:
        """The longest of the durations that bound for how long a fault stands: all but `return`; 0 where there is none."""
        durations = (
            *(self.black_hole_ns, self.new_fail_ns, self.request_fail_ns, self.resolve_fail_ns, self.latency_ns),
            self.recover_ns,
        )
        return max((duration for duration in durations if duration is not None), default=0)


def effective_limits(budget: Budget, planned: bool, *, requests: bool = True) -> Limits:
    """The limits for what was touched, with the one for requests where the budget names none.

    That is `new_fail`, else `black_hole`, at least FALLBACK_NS unless the fault is `planned`. `requests`: whether the contract has a
    service that answers requests; without one there is nothing to judge."""
    request_fail_ns, stood_in = budget.request_fail_ns, None
    if request_fail_ns is None and requests:
        request_fail_ns, stood_in = _stand_in(budget)
        if request_fail_ns is not None and not planned:
            request_fail_ns = max(request_fail_ns, FALLBACK_NS)
    return Limits(
        black_hole_ns=budget.black_hole_ns,
        new_fail_ns=budget.new_fail_ns,
        request_fail_ns=request_fail_ns,
        resolve_fail_ns=budget.resolve_fail_ns,
        latency_ns=budget.latency_ns,
        broken=budget.broken,
        load_fail_percent=budget.load_fail_percent,
        recover_ns=budget.recover_ns,
        return_ns=budget.return_ns,
        request_fail_from=stood_in,
    )


def _stand_in(budget: Budget) -> tuple[int | None, Literal["new_fail", "black_hole"] | None]:
    if budget.new_fail_ns is not None:
        return budget.new_fail_ns, "new_fail"
    if budget.black_hole_ns is not None:
        return budget.black_hole_ns, "black_hole"
    return None, None
