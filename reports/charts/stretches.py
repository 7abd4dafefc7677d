"""Probe states as stretches of trouble: what is drawn, and what is counted as one outage, instead of single probes.

Pure functions on bytes; they know the meaning of a state and nothing of time, scale or drawing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reports.evidence.schema import CORRUPT, LATE, LOST

_TROUBLE = re.compile(rb"([\x01-\xff])\1*", re.DOTALL)

IMPAIRED = bytes((LOST, LATE, CORRUPT))
"""States that count as lost connectivity; a probe that the harness did not send is not among them."""


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
    """How many probes were lost, late or corrupt."""
    return sum(state.count(bytes((one,))) for one in IMPAIRED)
