"""Black holes to calibrate with: when they shall be, and when they were. Pure; it knows neither a gate nor a prober."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

GAP_NS = 200_000_000
"""Between two holes at least: time for a flow to be answered again, and for whose turn it was to catch up."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A hole that shall be, CLOCK_MONOTONIC ns."""

    close_ns: int
    open_ns: int

    @property
    def length_ns(self) -> int:
        return self.open_ns - self.close_ns


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole that was: nothing came through from `closed_ns` to `opened_ns` (CLOCK_MONOTONIC), each known within `acc_ns`.
    `dropped`: packets that found it closed."""

    closed_ns: int
    opened_ns: int
    acc_ns: int
    dropped: int

    @property
    def length_ns(self) -> int:
        return self.opened_ns - self.closed_ns


def plan_holes(
    count: int, shortest_ns: int, longest_ns: int, interval_ns: int, start_ns: int, chance: Random
) -> tuple[Planned, ...]:
    """`count` holes one after another from `start_ns` on, their lengths spaced evenly by logarithm, in random order and phase.

    What a length is beyond whole intervals decides its error (RFC 6412's equation 8 counts whole ones), so these rests are random
    but spread evenly over an interval: else the mean error of fifty holes would tell of chance as much as of the instrument.
    The longest may be exceeded by one interval. Raises ValueError for no holes, or lengths that are not positive and in order.
    """
    if count < 1 or not 0 < shortest_ns <= longest_ns or interval_ns < 1:
        raise ValueError(f"{count} holes of {shortest_ns} to {longest_ns} ns: at least one, of a positive length")
    rests = [(n + chance.random()) / count for n in range(count)]
    chance.shuffle(rests)
    lengths = [
        _length(_log_spaced(n, count, shortest_ns, longest_ns), rest, shortest_ns, interval_ns)
        for n, rest in enumerate(rests)
    ]
    chance.shuffle(lengths)
    found, at = [], start_ns
    for length in lengths:
        at += GAP_NS + chance.randrange(interval_ns)
        found.append(Planned(at, at + length))
        at += length
    return tuple(found)


def _log_spaced(n: int, count: int, shortest_ns: int, longest_ns: int) -> float:
    share = n / (count - 1) if count > 1 else 0.0
    return shortest_ns * math.exp(share * math.log(longest_ns / shortest_ns))


def _length(near_ns: float, rest: float, shortest_ns: int, interval_ns: int) -> int:
    """The length next to `near_ns` that has this rest (a share of an interval) and is not below the shortest."""
    whole = max(round(near_ns / interval_ns - rest), math.ceil(shortest_ns / interval_ns - rest))
    return round((whole + rest) * interval_ns)
