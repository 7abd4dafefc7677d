"""Records of things that were due on a schedule, one slot each, the oldest overwritten by the newest. Knows not what is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np


def due_between(first_due_ns: int, interval_ns: int, t0_ns: int, t1_ns: int) -> tuple[int, int]:
    """Sequence numbers [first, after) of what was due in [t0, t1), the first of all at `first_due_ns`."""
    first = max(0, -((first_due_ns - t0_ns) // interval_ns))
    return first, max(first, -((first_due_ns - t1_ns) // interval_ns))


def slots(ring: Any, first: int, after: int) -> Any:
    """The ring's slots for the sequence numbers [first, after), as an array; what is in them may be of another number."""
    capacity = len(ring)
    at, count = first % capacity, after - first
    if count > capacity:  # reaches far beyond what was recorded, as after the recorder's end
        return ring[np.arange(first, after) % capacity]
    if at + count <= capacity:
        return ring[at : at + count]
    return np.concatenate((ring[at:], ring[: at + count - capacity]))
