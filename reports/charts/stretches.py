"""Probe states as stretches of trouble: what is drawn, and what is counted as one outage, instead of single probes.

Pure functions on bytes; they know the meaning of a state and nothing of time, scale or drawing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reports.evidence.schema import CORRUPT, LATE, LOST, NOT_SENT, REFUSED, RESET

_TROUBLE = re.compile(rb"([\x01-\xff])\1*", re.DOTALL)

IMPAIRED = bytes((LOST, LATE, CORRUPT, REFUSED, RESET))
"""States that count as lost connectivity (of a SYN: as a failed attempt); a probe that the harness did not send is not
among them."""

KINDS = {LOST: "lost", LATE: "late", CORRUPT: "corrupt", NOT_SENT: "unsent", REFUSED: "refused", RESET: "reset"}
"""How each state is called where it is drawn; a state that this version does not know is drawn as lost."""

_BAD = bytes(1 if state in IMPAIRED or state > max(KINDS) else 0 for state in range(256))


@dataclass(frozen=True)
class Stretch:
    """`length` probes in a row with the same state, from index `start`."""

    start: int
    length: int
    state: int

    @property
    def end(self) -> int:
        return self.start + self.length


def stretches(state: bytes) -> list[Stretch]:
    """Every maximal run of equal states that are not `answered`, in order."""
    return [Stretch(m.start(), m.end() - m.start(), m[1][0]) for m in _TROUBLE.finditer(state)]


def bridged(found: list[Stretch], gap: int) -> list[Stretch]:
    """Neighbours of one state with at most `gap` probes between them become one.

    It only ever adds ink: a drawing that must be coarse may show more loss than there was, never less.
    """
    if gap <= 0:
        return found
    merged: list[Stretch] = []
    for one in found:
        last = merged[-1] if merged else None
        if last and last.state == one.state and one.start - last.end <= gap:
            merged[-1] = Stretch(last.start, one.end - last.start, one.state)
        else:
            merged.append(one)
    return merged


def impaired(state: bytes) -> int:
    """How many probes were lost, late, corrupt, refused or reset."""
    return sum(state.translate(_BAD))
