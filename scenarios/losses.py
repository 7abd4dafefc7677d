"""What was lost of late that was not lost at rest as well: told to who waits for quiet. It decides by verdict.standing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probes.failing import stretches
from probes.flows import ANSWERED, NOT_SENT, FlowTrace
from probes.requests import RequestTrace
from scenarios.instruments import GRACE_NS, Instruments
from scenarios.verdict.standing import AtRest, Stretch

CLOSER_LOOK_NS = 1_000_000_000
"""Where there is loss at rest, every probe has to be looked at: that takes CPU, and is done so seldom."""


@dataclass(frozen=True, slots=True)
class Lost:
    """`stretches` of each flow and series; `broke`: when connections did; `last`: when each vantage's probes, requests and
    connections were last lost, at rest or not."""

    stretches: Mapping[str, Sequence[Stretch]]
    broke: Sequence[int]
    last: Mapping[str, int]


@dataclass
class Losses:
    """Of one trial. `at_rest`: of each flow and series that lost something in the control window."""

    instruments: Instruments
    control_ns: int
    event_ns: int
    at_rest: Mapping[str, AtRest] = field(default_factory=dict)
    _looked_ns: int = 0
    _closer: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(t < self.event_ns for t in self.instruments.last_losses(self.control_ns).values()):
            found = self._stretches(self.control_ns, self.event_ns)
            self.at_rest = {
                name: AtRest(max(s.length_ns for s in some), max(s.lost for s in some), sum(s.lost for s in some))
                for name, some in found.items()
            }

    def since(self, since_ns: int, now_ns: int) -> Lost:
        """Where nothing is lost at rest, of each vantage the last loss stands for all."""
        last = dict(self.instruments.last_losses(since_ns))
        broke = [t for who, t in last.items() if who.startswith("connections")]
        if not self.at_rest:
            found = {who: [Stretch(t, t, 1)] for who, t in last.items() if not who.startswith("connections")}
            return Lost(found, broke, last)
        if now_ns - self._looked_ns > CLOSER_LOOK_NS:
            self._looked_ns, self._closer = now_ns, self._stretches(since_ns, now_ns - GRACE_NS)
        return Lost(self._closer, broke, last)

    def _stretches(self, t0_ns: int, t1_ns: int) -> dict[str, list[Stretch]]:
        """Of every flow and series that lost something in [t0, t1)."""
        found: dict[str, list[Stretch]] = {}
        for vantage, prober in self.instruments.probers.items():
            for trace in prober.window(t0_ns, t1_ns).flows:
                found[f"{vantage} {trace.flow.id}"] = _of_flow(trace)
        for vantage, requester in self.instruments.requesters.items():
            for asked in requester.window(t0_ns, t1_ns).traces:
                found[f"{vantage} requests {asked.series.id}"] = _of_requests(asked)
        return {name: some for name, some in found.items() if some}


def _of_flow(trace: FlowTrace) -> list[Stretch]:
    known = trace.state != NOT_SENT
    some = stretches(trace.due[known], trace.state[known] == ANSWERED, trace.flow.interval_ns)
    return [Stretch(s.start_ns, s.last_ns, s.failed) for s in some]


def _of_requests(trace: RequestTrace) -> list[Stretch]:
    known = np.asarray(trace.known())
    some = stretches(trace.due[known], trace.good()[known], trace.series.interval_ns)
    return [Stretch(s.start_ns, s.last_ns, s.failed) for s in some]
