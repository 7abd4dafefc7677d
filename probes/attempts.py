"""How attempts at new connections fared, and for how long they failed, from a schedule of SYNs.

Pure: it knows due times, states and waits, not where they came from or what was broken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probes.flows import ANSWERED, NOT_SENT, REFUSED, RESET, FlowTrace, Ints

APART_NS = 1_000_000_000
"""Failed attempts closer together than this are of one failing period: where only a share of attempts meets the dead
element, those in between succeed."""


@dataclass(frozen=True, slots=True)
class FailingPeriod:
    """New connections failed from `start_ns` (the first failed attempt) for `length_ns`, which is up to the attempt after
    the last failed one. `censored`: it was still going on when the window ended, and lasted at least so long."""

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
        periods=_periods(failed, int(dues[-1]) + interval_ns if len(dues) else 0, interval_ns),
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


def _periods(failed: Ints, end_ns: int, interval_ns: int) -> tuple[FailingPeriod, ...]:
    if not len(failed):
        return ()
    cuts = np.flatnonzero(np.diff(failed) >= APART_NS) + 1
    return tuple(_period(part, end_ns, interval_ns) for part in np.split(failed, cuts))


def _period(failed: Ints, end_ns: int, interval_ns: int) -> FailingPeriod:
    first, last = int(failed[0]), int(failed[-1])
    # as long a run of successes as this period has already seen is no sign that it is over
    longest_pause = max(interval_ns, int(np.diff(failed).max(initial=0)))
    return FailingPeriod(first, last - first + interval_ns, len(failed), end_ns - last <= longest_pause)
