"""Loss episodes and black holes from what became of a flow's probes, after RFC 6412, RFC 3357 and RFC 6534.

Pure: it knows due times and states, not where they came from or what was broken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probes.bounds import enough_for_bound, percentile_upper_bound
from probes.flows import ANSWERED, NOT_SENT

P99_NEEDS = 100
"""Fewer flows than this have no 99th percentile. For an upper bound of it see BOUND_NEEDS."""

BOUND_NEEDS = enough_for_bound(0.99)
"""Fewer flows than this, 299, have no 95 % upper bound of their 99th percentile."""


@dataclass(frozen=True, slots=True)
class Episode:
    """Consecutive lost probes of one flow (a loss period of RFC 3357).

    `start_ns`: when the first lost probe was due; `end_ns`: when the first answered one after it was due, None if the
    window ended first. Then the episode is `censored`: it lasted at least `black_hole_ns`, no one saw its end.
    The outage behind n lost probes lasted more than (n-1) and less than (n+1) intervals.
    """

    start_ns: int
    end_ns: int | None
    lost: int
    black_hole_ns: int
    censored: bool


@dataclass(frozen=True, slots=True)
class FlowLoss:
    """What one flow lost in a window.

    `black_hole_ns` is the Route Loss of Connectivity Period (RFC 6412, equation 8): lost probes over the flow's rate.
    `longest_ns` is that of its longest episode. `not_sent` probes are in neither: the harness's failure is not the
    network's loss.
    """

    interval_ns: int
    probes: int
    lost: int
    not_sent: int
    black_hole_ns: int
    longest_ns: int
    censored: bool
    episodes: tuple[Episode, ...]


@dataclass(frozen=True, slots=True)
class BlackHoles:
    """Black holes over several flows, in ns; None where there are no flows (or, for p99, fewer than 100).

    `p99_upper_ns`: at or above the 99th percentile of all flows like these with 95 % confidence; None below 299 of them.
    """

    flows: int
    min_ns: int | None
    median_ns: int | None
    p99_ns: int | None
    max_ns: int | None
    censored: int
    lost: int
    p99_upper_ns: int | None = None


def flow_loss(due: ArrayLike, state: ArrayLike, interval_ns: int) -> FlowLoss:
    """The episodes of one flow from its probes' due times (ascending) and states (see probes.flows).

    Lost, late (RFC 6412's Forwarding Delay Threshold) and corrupt probes are all lost: a client had no use of them.
    Raises ValueError if the two differ in length.
    """
    dues, states = np.asarray(due, np.int64), np.asarray(state, np.uint8)
    if dues.shape != states.shape:
        raise ValueError(f"{dues.size} due times and {states.size} states")
    known = states != NOT_SENT
    not_sent = int(states.size - np.count_nonzero(known))
    dues, bad = dues[known], states[known] != ANSWERED
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(np.int8)))
    found = tuple(
        _episode(dues, int(first), int(after), interval_ns)
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    )
    lost = int(np.count_nonzero(bad))
    return FlowLoss(
        interval_ns=interval_ns,
        probes=int(dues.size),
        lost=lost,
        not_sent=not_sent,
        black_hole_ns=lost * interval_ns,
        longest_ns=max((e.black_hole_ns for e in found), default=0),
        censored=any(e.censored for e in found),
        episodes=found,
    )


def _episode(dues: np.ndarray[tuple[int], np.dtype[np.int64]], first: int, after: int, interval_ns: int) -> Episode:
    censored = after == len(dues)
    return Episode(
        start_ns=int(dues[first]),
        end_ns=None if censored else int(dues[after]),
        lost=after - first,
        black_hole_ns=(after - first) * interval_ns,
        censored=censored,
    )


def black_holes(flows: Sequence[FlowLoss]) -> BlackHoles:
    """The spread of the flows' black holes. Percentiles are nearest-rank: each figure is one that a flow really had."""
    if not flows:
        return BlackHoles(0, None, None, None, None, 0, 0)
    values = sorted(f.black_hole_ns for f in flows)
    return BlackHoles(
        flows=len(values),
        min_ns=values[0],
        median_ns=_rank(values, 0.5),
        p99_ns=_rank(values, 0.99) if len(values) >= P99_NEEDS else None,
        max_ns=values[-1],
        censored=sum(1 for f in flows if f.censored),
        lost=sum(f.lost for f in flows),
        p99_upper_ns=percentile_upper_bound(values, 0.99).value,
    )


def _rank(ordered: Sequence[int], share: float) -> int:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def round_to_interval(value_ns: int, interval_ns: int) -> int:
    """The nearest multiple of the interval (halves up): no figure carries more digits than the probing had."""
    return (2 * value_ns + interval_ns) // (2 * interval_ns) * interval_ns


def milliseconds(value_ns: int, interval_ns: int) -> float:
    """A time in ms with no more digits than the interval carries."""
    digits = max(0, -math.floor(math.log10(interval_ns / 1e6)))
    return round(round_to_interval(value_ns, interval_ns) / 1e6, digits)
