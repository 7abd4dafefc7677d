"""When a node was silent: it was reached by probes, and for a while sent none of them on, nor any answer. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOGETHER_NS = 100_000_000
"""Probes due within this may pass a node in another order, since their ways there are of different lengths. So a shorter silence tells
nothing, and what died this close to one may have died in it."""

NEEDS = 10
"""Unanswered probes that reach a node before nothing coming from it is taken for silence."""

Span = tuple[int, int]


def silences(reached: NDArray[np.int64], heard: NDArray[np.int64], first_ns: int, last_ns: int) -> tuple[Span, ...]:
    """From when to when a node's probes must have been due to have died in a silence of its, oldest first.

    `reached` and `heard`: when the unanswered probes were due that came to it, and all that it sent on or answered. Both are known of
    what was due TOGETHER_NS before `first_ns` until as long after `last_ns`. Each span reaches that much over the silence's own ends.
    """
    start, end = first_ns - TOGETHER_NS, last_ns + TOGETHER_NS
    bounds = np.unique(np.concatenate((heard, (start, end))))
    ordered = np.sort(reached)
    left, right = bounds[:-1], bounds[1:]
    between = np.searchsorted(ordered, right, "left") - np.searchsorted(ordered, left, "right")
    silent = (right - left >= TOGETHER_NS) & (between >= NEEDS)
    ends = zip(left[silent].tolist(), right[silent].tolist(), strict=True)
    return tuple((since - TOGETHER_NS, until + TOGETHER_NS) for since, until in ends)
