"""How steady the wall clock was, from samples of how far it was from the monotonic one. Pure; knows not who took them."""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_SLEW = 500e-6
"""The fastest that time-keeping daemons slew the wall clock (adjtimex(2)); what is faster is a step."""


def clock_step_ns(samples: Any, t0_ns: int, t1_ns: int) -> int:
    """The largest step in [t0, t1), from records with the fields mono_ns and offset_ns, in any order; 0 where too few are known."""
    samples = samples[np.argsort(samples["mono_ns"])]
    # one sample more on either side, so that a step at an edge is seen
    low = max(0, int(np.searchsorted(samples["mono_ns"], t0_ns)) - 1)
    high = int(np.searchsorted(samples["mono_ns"], t1_ns)) + 1
    samples = samples[low:high]
    if len(samples) < 2:
        return 0
    steps = np.abs(np.diff(samples["offset_ns"])) - MAX_SLEW * np.diff(samples["mono_ns"])
    return max(0, int(steps.max()))
