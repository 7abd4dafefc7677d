"""What a contract allows each fault class to cost its clients. Knows no verdict: what was measured is held against it elsewhere."""

from topologies.budget.classes import CLASSES, FAULTS, STEADY, FaultClass, Judging
from topologies.budget.limits import Limits, effective_limits
from topologies.budget.model import BrokenBudget, Budget
from topologies.figures import parse_duration

__all__ = [
    "CLASSES",
    "FAULTS",
    "STEADY",
    "BrokenBudget",
    "Budget",
    "FaultClass",
    "Judging",
    "Limits",
    "effective_limits",
    "parse_duration",
]
