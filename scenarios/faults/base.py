"""What every fault is: a frozen plan, injected, shown to be effective, healed. One fault per file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from topologies.budget import CLASSES
from topologies.linux.wire import Instant
from topologies.model import Link


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What will be broken: a fault class, its target by name, the target's role, and every node and link it takes. `other_role`: of a
    link, the role of its other end. `process`: the one that is broken, where it is one of a node's."""

    fault: str
    target: str
    role: str | None
    nodes: tuple[str, ...]
    verb: str  # for sentences: "Killed region eu silently"
    element: str  # what is broken, for sentences: "region eu"
    links: tuple[Link, ...] = ()
    ends_connections: bool = False  # whether a connection that a broken node answered cannot but end
    kills: bool = False  # whether its nodes are dead from then on
    action: bool = False  # whether it is an action of the stack itself, that answers for it
    other_role: str | None = None
    process: str | None = None

    @property
    def planned(self) -> bool:
        """Whether the stack knows of it beforehand."""
        return self.fault in CLASSES and CLASSES[self.fault].planned


def kind_of(role: str | None) -> str:
    """A role as a word in a sentence: L4 node, edge node."""
    return f"{role.upper() if role in ('l4', 'l7', 'dns') else role} node" if role else "node"


class FaultFailed(Exception):
    """A fault could not be injected or healed; the message says what the node said. The verdict is unknown."""


class ActionRefused(FaultFailed):
    """The stack's own action ended with an error or took too long (`late`): the stack's failure, not ours."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class Fault(Protocol):
    """`inject` returns the Convergence Event Instant; the questions return what is missing, empty when nothing is. To make one touches
    nothing."""

    plan: FaultPlan

    def inject(self) -> Instant: ...

    def missing_effect(self) -> str: ...

    def heal(self) -> None: ...

    def missing_at_heal(self) -> str:
        """Asked just before the heal: whether the fault held until then."""
        ...

    def missing_heal(self) -> str:
        """Asked after `heal`: what of ours is still there. Whether the stack serves again is asked of the stack."""
        ...
