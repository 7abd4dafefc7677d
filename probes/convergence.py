"""How long it took until traffic flowed again, by the methods of RFC 6412 and RFC 6414, each with what its accuracy leaves open.

Pure: it knows due times, states and masks; which path a probe took is told to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.episodes import Episode, FlowLoss
from probes.flows import ANSWERED, LOST, NOT_SENT, FlowTrace

SUSTAINED_PROBES, SUSTAINED_NS = 5, 5_000_000_000
"""Sustained Convergence Validation Time (RFC 6412): so many probes of each flow, and so long, without any impairment."""

TIMESTAMPS_NEED = 16
"""Flows below which time stamps tell no failover time (RFC 6414, Timestamp-Based Method)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A duration as measured, in ns; the true one lies between `low_ns` and `high_ns`. No `high_ns`: it is censored, no one saw
    its end."""

    ns: int
    low_ns: int
    high_ns: int | None

    @property
    def censored(self) -> bool:
        return self.high_ns is None


@dataclass(frozen=True, slots=True)
class FullConvergence:
    """`time`: from the event until all flows were whole. `sustained`: nothing was impaired for the whole Sustained Convergence
    Validation Time after it, as RFC 6412 asks before anything counts as recovered."""

    time: Span
    sampling_ns: int
    sustained: bool


@dataclass(frozen=True, slots=True)
class Failover:
    """The longest failover among `flows` flows by their time stamps; `time` is None where it cannot be told, `reason` says why."""

    time: Span | None
    flows: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PathMarks:
    """Which probes of a flow were answered by the path from before the event, and which by the one that took over."""

    primary: NDArray[np.bool_]
    backup: NDArray[np.bool_]


def episode_span(episode: Episode, interval_ns: int) -> Span:
    """The outage behind one episode: n lost probes mean more than (n-1) and less than (n+1) intervals (RFC 6412)."""
    high = None if episode.censored else (episode.lost + 1) * interval_ns
    return Span(episode.black_hole_ns, (episode.lost - 1) * interval_ns, high)


def loss_of_connectivity(loss: FlowLoss) -> Span:
    """Route Loss of Connectivity Period of one flow (RFC 6412, equation 8): lost probes over their rate.

    Each episode counts as one outage and leaves an interval open on either side; each probe never sent may have been lost as well.
    A flow that lost nothing may have been cut between two probes. Where traffic is lost from the very event on this is the
    Route-Specific Convergence Time as well (equation 4).
    """
    step, parts = loss.interval_ns, len(loss.episodes)
    low = (loss.lost - parts) * step
    high = None if loss.censored else (loss.lost + max(1, parts) + loss.not_sent) * step
    return Span(loss.black_hole_ns, low, high)


def common_outage(flows: Sequence[tuple[ArrayLike, ArrayLike]]) -> Span | None:
    """One outage that cut all of these flows alike, from (when each probe left in ns, states) of each; None where none was lost.

    It began between the last probe that was answered and left before the first lost one, and that one; it ended likewise. The middle
    is told of both. The closer together the flows' phases are, the less is left open; a probe that leaves late makes that more, and no
    error. Censored where nothing that left after the last lost one was answered, or nothing before the first: nobody saw how long
    it was. Not for outages that differ from flow to flow.
    """
    left = np.concatenate([np.zeros(0, np.int64), *(np.asarray(at, np.int64) for at, _ in flows)])
    state = np.concatenate([np.zeros(0, np.uint8), *(np.asarray(states, np.uint8) for _, states in flows)])
    lost, answered = np.sort(left[state == LOST]), np.sort(left[state == ANSWERED])
    if not lost.size:
        return None
    first, last = int(lost[0]), int(lost[-1])
    before = answered[: np.searchsorted(answered, first)]
    after = answered[np.searchsorted(answered, last, side="right") :]
    if not before.size or not after.size:
        return Span(last - first, last - first, None)
    earliest, latest = int(before[-1]), int(after[0])
    return Span((last + latest - earliest - first) // 2, last - first, latest - earliest)


def route_specific(due: ArrayLike, state: ArrayLike, on_new_path: ArrayLike, event_ns: int, interval_ns: int) -> Span:
    """Route-Specific Convergence Time where traffic is not lost at the event, as in a drain or a heal (RFC 6412, equation 5).

    Counted on the new path: probes that did not arrive by it, over their rate, less the time from Traffic Start (when the first
    probe was due) to the Convergence Event Instant. `due` ascends, in ns; `on_new_path` marks probes answered by the new path.
    Censored where the last probe was not. Raises ValueError without probes, or if the three differ in length.
    """
    dues, states, new = np.asarray(due, np.int64), np.asarray(state, np.uint8), np.asarray(on_new_path, np.bool_)
    if not dues.shape == states.shape == new.shape:
        raise ValueError(f"{dues.size} due times, {states.size} states and {new.size} marks of the new path")
    known = states != NOT_SENT
    unsent = int(np.count_nonzero(~known))
    arrived = (states == ANSWERED) & new
    if not known.any():
        raise ValueError("no probe was sent, so nothing tells when the new path was taken")
    runs = np.diff(np.concatenate(([True], arrived[known])).astype(np.int8))
    absent = int(np.count_nonzero(known & ~arrived))
    open_ended = max(1, int(np.count_nonzero(runs == -1))) * interval_ns
    time = absent * interval_ns - (event_ns - int(dues[0]))
    never = not arrived[known][-1]
    high = None if never else max(0, time + open_ended + unsent * interval_ns)
    return Span(max(0, time), max(0, time - open_ended), high)


def full_convergence(
    flows: Sequence[tuple[ArrayLike, ArrayLike]], event_ns: int, end_ns: int, interval_ns: int, sampling_ns: int
) -> FullConvergence | None:
    """Full Convergence Time (RFC 6412, equation 2) by the Rate-Derived Method; None without flows.

    `flows` are (due times in ns, states) of each; samples of `sampling_ns`, the Packet Sampling Interval, follow each other from
    the event on. The Convergence Recovery Instant lies in the sample before the first one from which on all that was sent
    arrived; the end of that one is told, accurate to [-2 samples, + interval + 1/load]. Censored where no whole sample follows
    the last impaired probe before `end_ns`. Raises ValueError for a sampling interval shorter than the probes' own.
    """
    if sampling_ns < interval_ns:
        raise ValueError(f"samples of {sampling_ns} ns, shorter than the {interval_ns} ns between two probes of a flow")
    if not flows:
        return None
    last = event_ns - 1
    fewest_after = SUSTAINED_PROBES
    impaired = [_impaired_dues(due, state, event_ns) for due, state in flows]
    if any(found.size for found in impaired):
        last = max(int(found.max()) for found in impaired if found.size)
    for due, state in flows:
        good = (np.asarray(due, np.int64) > last) & (np.asarray(state, np.uint8) == ANSWERED)
        fewest_after = min(fewest_after, int(np.count_nonzero(good)))
    sustained = fewest_after >= SUSTAINED_PROBES and end_ns - (last + interval_ns) >= SUSTAINED_NS
    blur = interval_ns + -(-interval_ns // len(flows))
    if last < event_ns:
        return FullConvergence(Span(0, 0, blur), sampling_ns, sustained)
    time = ((last - event_ns) // sampling_ns + 2) * sampling_ns
    seen = event_ns + time <= end_ns and fewest_after > 0
    return FullConvergence(
        Span(min(time, end_ns - event_ns), max(0, time - 2 * sampling_ns), time + blur if seen else None),
        sampling_ns,
        sustained,
    )


def _impaired_dues(due: ArrayLike, state: ArrayLike, event_ns: int) -> NDArray[np.int64]:
    dues, states = np.asarray(due, np.int64), np.asarray(state, np.uint8)
    found: NDArray[np.int64] = dues[(states != ANSWERED) & (states != NOT_SENT) & (dues >= event_ns)]
    return found


def path_marks(trace: FlowTrace, event_ns: int, heal_ns: int) -> PathMarks | None:
    """Which path answered which probe, from what an answer carries: the backend's name and what was left of its time to live.

    The primary path is that of the last answer before the event, the backup that of the last answers before the heal. None where
    those are not at least five alike, or cannot be told from the primary: another node with the same backend as far away as before.
    """
    ttl = np.zeros(len(trace.backend), np.int64) if trace.ttl is None else trace.ttl.astype(np.int64)
    mark = np.where(trace.state == ANSWERED, trace.backend.astype(np.int64) * 256 + ttl, -1)
    before = mark[: np.searchsorted(trace.due, event_ns)]
    during = mark[np.searchsorted(trace.due, event_ns) : np.searchsorted(trace.due, heal_ns)]
    before, during = before[before >= 0], during[during >= 0]
    if not before.size or len(during) < SUSTAINED_PROBES or np.any(during[-SUSTAINED_PROBES:] != during[-1]):
        return None
    primary, backup = int(before[-1]), int(during[-1])
    return None if primary == backup else PathMarks(mark == primary, mark == backup)


def switch_span(due: ArrayLike, marks: PathMarks, event_ns: int, interval_ns: int) -> Span | None:
    """Failover time of one flow by the Timestamp-Based Method (RFC 6414): from the last unimpaired probe on the primary path to the
    first on the backup that was due after the event; None where either is missing.

    By the stamps in the payload, when the probes were due. It is an upper bound, too long by an interval on average: the truth lies
    at most two intervals below.
    """
    dues = np.asarray(due, np.int64)
    taken = dues[marks.backup & (dues >= event_ns)]
    left = dues[marks.primary & (dues < taken[0])] if taken.size else taken
    if not left.size:
        return None
    gap = int(taken[0] - left[-1])
    return Span(gap, max(0, gap - 2 * interval_ns), gap)


def failover(spans: Sequence[Span | None]) -> Failover:
    """The longest failover of several flows (RFC 6414's Failover Time of all of them), from what `switch_span` told of each."""
    told = [span for span in spans if span is not None]
    if len(told) < TIMESTAMPS_NEED:
        return Failover(
            None,
            len(told),
            f"time stamps tell a failover time from {TIMESTAMPS_NEED} flows on whose new path can be told from the old one, and there "
            f"are {len(told)}",
        )
    highs = [span.high_ns for span in told if span.high_ns is not None]
    return Failover(
        Span(max(s.ns for s in told), max(s.low_ns for s in told), max(highs) if len(highs) == len(told) else None),
        len(told),
    )
