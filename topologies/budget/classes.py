"""The fault classes that a contract budgets, their kin, and which budget a fault is judged by. Pure.

Must not know how a fault is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from topologies.budget.model import Budget

STEADY = "steady"
"""No fault: what is judged once a run, before anything is broken."""


@dataclass(frozen=True, slots=True)
class FaultClass:
    """`kin`: whose budgets stand in where it has none, the nearest first. `one_role`: it hits one role, so `fault/role` can apply.
    `planned`: the stack is told beforehand, so that nothing need be lost."""

    name: str
    kin: tuple[str, ...] = ()
    one_role: bool = True
    planned: bool = False


CLASSES = {
    known.name: known
    for known in (
        FaultClass("close-session", ("cut-link",)),
        FaultClass("crash-process", ("kill-node",)),
        FaultClass("cut-direction", ("cut-link",)),
        FaultClass("cut-link"),
        FaultClass("drain", planned=True),
        FaultClass("freeze-node", ("kill-node",)),
        FaultClass("freeze-process", ("crash-process", "kill-node")),
        FaultClass("kill-domain", ("kill-region", "kill-node"), one_role=False),
        FaultClass("kill-node"),
        FaultClass("kill-region", one_role=False),
        FaultClass("withdraw", planned=True),
    )
}
FAULTS = tuple(CLASSES)


@dataclass(frozen=True, slots=True)
class Judging:
    """The budget that a fault is judged by, and under which `name` it stands in the contract. `kin`: it is that of a kindred class."""

    name: str
    budget: Budget
    kin: bool


def judged_by(budgets: Mapping[str, Budget], fault: str, role: str | None) -> Judging | None:
    """The most specific budget of the class itself, else of its kin; None: not judged.

    A budget with nothing but `watch` limits nothing, so it hides none behind it; `not promised` does."""
    for name, kin in _names(fault, role):
        budget = budgets.get(name)
        if budget is not None and (budget.has_limits or budget.not_promised):
            return Judging(name, budget, kin)
    return None


def watch_ns(budgets: Mapping[str, Budget], fault: str, role: str | None) -> int | None:
    """For how long the contract wants the class watched: its own word, else that of the kin by which it is judged; None: none."""
    judging = judged_by(budgets, fault, role)
    related = judging.name.partition("/")[0] if judging else fault
    for name, _ in _names(fault, role):
        budget = budgets.get(name)
        if budget is not None and budget.watch_ns is not None and name.partition("/")[0] in (fault, related):
            return budget.watch_ns
    return None


def _names(fault: str, role: str | None) -> Iterator[tuple[str, bool]]:
    """Under which names a budget may stand, the most specific first, and whether it is that of kin."""
    kin = CLASSES[fault].kin if fault in CLASSES else ()
    for name in (fault, *kin):
        if role:
            yield f"{name}/{role}", name != fault
        yield name, name != fault
