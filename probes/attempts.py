"""How attempts at new connections fared, and for how long they failed, from a schedule of SYNs.

Pure: it knows due times, states and waits, not where they came from or what was broken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.failing import Stretch, stretches
from probes.flows import ANSWERED, NOT_SENT, REFUSED, RESET, FlowTrace, Ints


@dataclass(frozen=True, slots=True)
class FailingPeriod:
    """New connections failed from `start_ns`, the due time of the first failed attempt, for `length_ns`, which is up to that of
    the next good one. `censored`: it was still going on when the window ended, and lasted at least so long."""

    start_ns: int
    length_ns: int
    failed: int
    censored: bool


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of one schedule in a window. Those never sent by the harness are in none of the figures.

    `refused`, `reset` and `silent` (an answer after 2 s is silence) are the failed ones. `accept_ns`: the time to accept
    of each accepted one, ascending.
    """

    attempts: int
    accepted: int
    refused: int
    reset: int
    silent: int
    periods: tuple[FailingPeriod, ...]
    accept_ns: tuple[int, ...]

    @property
    def failed(self) -> int:
        return self.refused + self.reset + self.silent

    @property
    def new_fail_ns(self) -> int:
        """The longest failing period; within one interval of the truth when every attempt in it failed."""
        return max((p.length_ns for p in self.periods), default=0)

    @property
    def censored(self) -> bool:
        """Whether attempts were still failing at the window's end."""
        return any(p.censored for p in self.periods)

    def accept_percentile_ns(self, share: float) -> int | None:
        """Nearest-rank percentile of the time to accept (0 < share <= 1); None without any accepted attempt."""
        if not self.accept_ns:
            return None
        return self.accept_ns[max(0, math.ceil(share * len(self.accept_ns)) - 1)]


def count_attempts(due: ArrayLike, state: ArrayLike, answer_ns: ArrayLike, interval_ns: int) -> Attempts:
    """From the attempts' due times (ascending), states (see probes.flows) and waits for an answer, all in ns.

    Raises ValueError if the three differ in length.
    """
    dues, states, waits = np.asarray(due, np.int64), np.asarray(state, np.uint8), np.asarray(answer_ns, np.int64)
    if not dues.shape == states.shape == waits.shape:
        raise ValueError(f"{dues.size} due times, {states.size} states and {waits.size} waits")
    known = states != NOT_SENT
    dues, states, waits = dues[known], states[known], waits[known]
    accepted = states == ANSWERED
    refused, reset = int(np.count_nonzero(states == REFUSED)), int(np.count_nonzero(states == RESET))
    failed = dues[~accepted]
    return Attempts(
        attempts=len(dues),
        accepted=int(np.count_nonzero(accepted)),
        refused=refused,
        reset=reset,
        silent=len(failed) - refused - reset,
        periods=_periods(dues, accepted, interval_ns),
        accept_ns=tuple(np.sort(waits[accepted]).tolist()),
    )


def attempts_of(trace: FlowTrace, t0_ns: int | None = None, t1_ns: int | None = None) -> Attempts:
    """The same of a TCP flow's probes due in [t0, t1)."""
    chosen = np.ones(len(trace.due), bool)
    if t0_ns is not None:
        chosen &= trace.due >= t0_ns
    if t1_ns is not None:
        chosen &= trace.due < t1_ns
    waits = trace.answer_ns()
    return count_attempts(trace.due[chosen], trace.state[chosen], waits[chosen], trace.flow.interval_ns)


def _periods(dues: Ints, accepted: NDArray[np.bool_], interval_ns: int) -> tuple[FailingPeriod, ...]:
    failed, end_ns = dues[~accepted], int(dues[-1]) + interval_ns if len(dues) else 0
    return tuple(_period(s, failed, end_ns, interval_ns) for s in stretches(dues, accepted, interval_ns))


def _period(stretch: Stretch, failed: Ints, end_ns: int, interval_ns: int) -> FailingPeriod:
    inside = failed[(failed >= stretch.start_ns) & (failed <= stretch.last_ns)]
    # as long a run of successes as this period has already seen is no sign that it is over
    longest_pause = max(interval_ns, int(np.diff(inside).max(initial=0)))
    censored = not stretch.ended or end_ns - stretch.last_ns <= longest_pause
    return FailingPeriod(stretch.start_ns, stretch.length_ns, stretch.failed, censored)
