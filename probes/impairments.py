"""Impaired packets as RFC 6412 lists them: lost, late, corrupt, duplicate or reordered.

Pure: it knows a flow's probes, not what was broken or who is to blame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.flows import ANSWERED, CORRUPT, LATE, LOST, REFUSED, RESET, FlowTrace


@dataclass(frozen=True, slots=True)
class Impairments:
    """How many probes were impaired in which way. The first three exclude each other, and their sum is what black holes are made
    of; one that is duplicate or reordered may be anything else but lost besides. `lost` counts those that were told no, too."""

    lost: int = 0
    late: int = 0
    corrupt: int = 0
    duplicate: int = 0
    reordered: int = 0

    def __add__(self, other: Impairments) -> Impairments:
        return Impairments(
            self.lost + other.lost,
            self.late + other.late,
            self.corrupt + other.corrupt,
            self.duplicate + other.duplicate,
            self.reordered + other.reordered,
        )


def reordered(seq: ArrayLike, rx: ArrayLike, arrived: ArrayLike) -> NDArray[np.bool_]:
    """Which of a flow's answers are Type-P-Reordered (RFC 4737, section 3), in the order of `seq`: they came, by their stamps,
    after the answer to a probe with a higher sequence number. What never arrived does not count, nor do further answers to a probe.

    Answers with the same stamp count as in order. Raises ValueError if the three differ in length.
    """
    numbers, stamps, came = np.asarray(seq, np.int64), np.asarray(rx, np.int64), np.asarray(arrived, np.bool_)
    if not numbers.shape == stamps.shape == came.shape:
        raise ValueError(f"{numbers.size} sequence numbers, {stamps.size} stamps and {came.size} arrivals")
    found = np.zeros(len(numbers), np.bool_)
    here = np.flatnonzero(came)
    here = here[np.lexsort((numbers[here], stamps[here]))]
    if here.size:
        highest = np.maximum.accumulate(numbers[here])
        found[here[1:]] = numbers[here[1:]] < highest[:-1]
    return found


def impairments(trace: FlowTrace, t0_ns: int, t1_ns: int) -> Impairments:
    """What was impaired of the probes due in [t0, t1). Each SYN of a TCP flow has a 5-tuple of its own, and so no order to keep.

    An answer is held against all that the trace holds, so one overtaken across an edge of the window counts where it was due.
    """
    first, after = map(int, np.searchsorted(trace.due, (t0_ns, t1_ns)))
    state = trace.state[first:after]
    out_of_order = 0
    if trace.transport != "tcp":
        arrived = (trace.rx > 0) & np.isin(trace.state, (ANSWERED, LATE, CORRUPT))
        out_of_order = int(np.count_nonzero(reordered(trace.seq, trace.rx, arrived)[first:after]))
    return Impairments(
        lost=int(np.count_nonzero(np.isin(state, (LOST, REFUSED, RESET)))),
        late=int(np.count_nonzero(state == LATE)),
        corrupt=int(np.count_nonzero(state == CORRUPT)),
        duplicate=0 if trace.duplicate is None else int(np.count_nonzero(trace.duplicate[first:after])),
        reordered=out_of_order,
    )


def total(parts: Iterable[Impairments]) -> Impairments:
    """The sum over several flows or windows."""
    return sum(parts, Impairments())
