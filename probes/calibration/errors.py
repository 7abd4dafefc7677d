"""What was measured of holes, held against what they were. Pure: arrays in, errors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from probes.calibration.holes import Hole
from probes.convergence import common_outage
from probes.episodes import flow_loss
from probes.flows import ANSWERED, NOT_SENT, Bytes, FlowTrace, Ints
from probes.packets import ProbeFlow


@dataclass(frozen=True, slots=True)
class Errors:
    """Measured less true length, in ns, of each hole (first axis) by each flow (second).

    `together_ns`: of each hole, measured by all flows together (`common_outage`), less the truth; `between_ns`: how much of its length
    the departures around its edges leave open. `lateness_ns`: by how much a probe that was due before an edge of the hole came to it
    after that edge, at most; 0 where none did. `unexplained`: probes that were lost and not dropped by the gate, or dropped and not
    lost. `not_sent`: probes that the harness kept to itself.
    """

    interval_ns: int
    truth_ns: Ints
    error_ns: Ints
    together_ns: Ints
    between_ns: Ints
    lateness_ns: Ints
    acc_ns: int
    unexplained: int
    not_sent: int

    @property
    def counted_ns(self) -> float:
        """The largest error by the mean of what all flows counted: by Δ/N where every probe is punctual, and by their lateness."""
        return float(np.abs(self.error_ns.mean(axis=1)).max())

    @property
    def worst_ns(self) -> int:
        """The largest error of a flow, whatever its sign."""
        return int(np.abs(self.error_ns).max())

    @property
    def beyond_lateness_ns(self) -> int:
        """The largest error of a flow that its own lateness does not explain: at most an interval, if all else is right."""
        return max(0, int((np.abs(self.error_ns) - self.lateness_ns).max()))

    @property
    def mean_ns(self) -> float:
        """Mean absolute error of a flow. A third of an interval is what counting whole ones costs (2f(1-f) over all phases f)."""
        return float(np.abs(self.error_ns).mean())

    @property
    def bias_ns(self) -> float:
        """Mean error with its sign."""
        return float(self.error_ns.mean())

    @property
    def worst_aggregate_ns(self) -> float:
        return float(np.abs(self.together_ns).max())


def compare(flows: Sequence[FlowTrace], holes: Sequence[Hole]) -> Errors:
    """Errors of every flow for every hole: each is given the probes that are nearer to it than to its neighbours.

    The flows have one interval. Raises ValueError without flows or holes, for several intervals, and for holes that overlap.
    """
    if not flows or not holes:
        raise ValueError("nothing to compare: at least one flow and one hole are needed")
    intervals = {trace.flow.interval_ns for trace in flows}
    if len(intervals) != 1:
        raise ValueError(f"flows of {len(intervals)} intervals: compare those of one at a time")
    if any(a.opened_ns >= b.closed_ns for a, b in pairwise(holes)):
        raise ValueError("holes overlap: whose loss is whose cannot be told")
    bounds = [(a.opened_ns + b.closed_ns) // 2 for a, b in pairwise(holes)]
    interval = intervals.pop()
    error = np.zeros((len(holes), len(flows)), np.int64)
    lateness = np.zeros_like(error)
    lost = np.zeros_like(error)
    parts: list[list[tuple[Ints, Bytes]]] = [[] for _ in holes]
    for j, trace in enumerate(flows):
        left = trace.left_ns()
        arrived = _arrived_ns(trace, left)
        cuts = [0, *np.searchsorted(trace.due, bounds), len(trace.due)]
        for i, (hole, (first, after)) in enumerate(zip(holes, pairwise(cuts), strict=True)):
            found = flow_loss(trace.due[first:after], trace.state[first:after], interval)
            error[i, j] = found.black_hole_ns - hole.length_ns
            lost[i, j] = found.lost
            parts[i].append((left[first:after], trace.state[first:after]))
            lateness[i, j] = _late_at(hole, trace.due[first:after], arrived[first:after])
    together = [_together(part, hole) for part, hole in zip(parts, holes, strict=True)]
    dropped = np.array([hole.dropped for hole in holes])
    return Errors(
        interval_ns=interval,
        truth_ns=np.array([hole.length_ns for hole in holes], np.int64),
        error_ns=error,
        together_ns=np.array([one for one, _ in together], np.int64),
        between_ns=np.array([one for _, one in together], np.int64),
        lateness_ns=lateness,
        acc_ns=max(hole.acc_ns for hole in holes),
        unexplained=int(np.abs(lost.sum(axis=1) - dropped).sum()),
        not_sent=sum(int(np.count_nonzero(trace.state == NOT_SENT)) for trace in flows),
    )


def _together(part: Sequence[tuple[Ints, Bytes]], hole: Hole) -> tuple[int, int]:
    found = common_outage(part)
    if found is None:
        return -hole.length_ns, hole.length_ns
    if found.high_ns is None:
        return found.ns - hole.length_ns, hole.length_ns
    return found.ns - hole.length_ns, found.high_ns - found.low_ns


def _arrived_ns(trace: FlowTrace, left: Ints) -> Ints:
    """When each probe had come to the gate, at the latest: as long after it left as answers usually take; 0 if it never left."""
    took = trace.answer_ns()[trace.state == ANSWERED]
    return np.where(left > 0, left + (int(np.median(took)) if took.size else 0), 0)


def _late_at(hole: Hole, due: Ints, arrived: Ints) -> int:
    late = np.zeros(len(due), np.bool_)
    for edge in (hole.closed_ns, hole.opened_ns):
        late |= (due < edge) & (arrived >= edge)
    return int((arrived - due)[late].max(initial=0))


def staggering_ns(flows: Sequence[ProbeFlow]) -> float:
    """By how much the mean of these flows can miss a hole's length when every probe is punctual: what their phases are worth.

    N phases spread evenly give an interval / N; fewer phases than flows, or more flows in some than in others, give more.
    Raises ValueError without flows or for several intervals.
    """
    intervals = {flow.interval_ns for flow in flows}
    if len(intervals) != 1:
        raise ValueError(f"flows of {len(intervals)} intervals have no common staggering")
    interval = intervals.pop()
    phases = np.sort(np.array([flow.phase_ns % interval for flow in flows], np.int64)) / interval
    steps = np.arange(len(flows) + 1) / len(
        flows
    )  # the share of flows whose phase is below, just before and after each
    return float(interval * ((steps[1:] - phases).max() - (steps[:-1] - phases).min()))
