"""What was lost of late that was not lost at rest as well: told to who waits for quiet. It decides by verdict.standing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probes.failing import stretches
from probes.flows import ANSWERED, NOT_SENT, FlowTrace
from probes.requests import Outcome, RequestTrace
from scenarios.instruments import Instruments
from scenarios.verdict.standing import SETTLE_NS, AtRest, Seen, Stretch

CLOSER_LOOK_NS = 1_000_000_000
"""Where there is loss at rest, every probe has to be looked at: that takes CPU, and is done so seldom."""

CONNECTIONS = "connections"
"""As their losses are named."""

UNDER_WAY_NS = 500_000_000
"""What was due so shortly before may have been lost by the act: it tells nothing of the stack at rest."""


@dataclass(frozen=True, slots=True)
class Lost:
    """`seen`: what is known by its `now_ns`; `last`: when each vantage's probes, requests and connections were last lost, at rest or
    not."""

    seen: Seen
    last: Mapping[str, int]


@dataclass
class Losses:
    """Of one trial, made before the act, at `over_ns`, when its control window is over.

    `at_rest`: by vantage, service, family and transport, what a flow of theirs lost in it at most; `nameless`: series of which an
    answer bore no backend's name in it, so that none has to; `broke_at_rest`: connections broke in it."""

    instruments: Instruments
    control_ns: int
    over_ns: int
    at_rest: Mapping[str, AtRest] = field(default_factory=dict)
    nameless: frozenset[str] = frozenset()
    broke_at_rest: bool = False
    _since_ns: int = -1
    _looked_ns: int = 0
    _closer: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lost = self.instruments.last_losses(self.control_ns)
        if not lost:
            return  # which an answer without a name would be, too
        self.broke_at_rest = any(who.startswith(CONNECTIONS) and t < self.over_ns for who, t in lost.items())
        t1_ns = self.over_ns - UNDER_WAY_NS
        requests = dict(self._requests(self.control_ns, t1_ns))
        self.nameless = frozenset(name for name, trace in requests.items() if trace.count(Outcome.NO_IDENTITY))
        found: dict[str, list[Sequence[Stretch]]] = {}
        for name, some in self._stretches(self.control_ns, t1_ns, requests).items():
            found.setdefault(_kind(name), []).append(some)
        self.at_rest = {kind: _most(flows) for kind, flows in found.items()}

    @property
    def any_at_rest(self) -> bool:
        """Whether something was lost, or broke, in the control window."""
        return bool(self.at_rest) or self.broke_at_rest

    @property
    def settle_ns(self) -> int:
        """For how long after it was due an absent answer tells nothing yet."""
        return max(SETTLE_NS, self.instruments.grace_ns)

    def since(self, since_ns: int, now_ns: int) -> Lost:
        """Where nothing is lost at rest, of each vantage the last loss stands for all."""
        last = dict(self.instruments.last_losses(since_ns))
        # where connections break at rest, one that breaks tells nothing of the fault: its row is doubted, the quiet is not
        broke = [] if self.broke_at_rest else [t for who, t in last.items() if who.startswith(CONNECTIONS)]
        if not self.at_rest and not self.nameless:
            found = {who: [Stretch(t, t, 1)] for who, t in last.items() if not who.startswith(CONNECTIONS)}
            return Lost(Seen(since_ns, now_ns, found, ended_connections=broke, settle_ns=self.settle_ns), last)
        if since_ns != self._since_ns or now_ns - self._looked_ns > CLOSER_LOOK_NS:
            self._since_ns, self._looked_ns = since_ns, now_ns
            t1_ns = now_ns - self.instruments.grace_ns
            self._closer = self._stretches(since_ns, t1_ns, dict(self._requests(since_ns, t1_ns)))
        known = {name: self.at_rest[_kind(name)] for name in self._closer if _kind(name) in self.at_rest}
        seen = Seen(since_ns, self._looked_ns, self._closer, known, ended_connections=broke, settle_ns=self.settle_ns)
        return Lost(seen, last)

    def _stretches(self, t0_ns: int, t1_ns: int, requests: Mapping[str, RequestTrace]) -> dict[str, list[Stretch]]:
        """Of every flow that lost something in [t0, t1), and of every series of these requests."""
        found: dict[str, list[Stretch]] = {}
        for vantage, prober in self.instruments.probers.items():
            for trace in prober.window(t0_ns, t1_ns).flows:
                flow = trace.flow
                found[f"{vantage} {flow.service} {flow.family} {trace.transport}#{flow.id}"] = _of_flow(trace)
        for name, asked in requests.items():
            found[name] = _of_requests(asked.unnamed() if name in self.nameless else asked)
        return {name: some for name, some in found.items() if some}

    def _requests(self, t0_ns: int, t1_ns: int) -> Iterable[tuple[str, RequestTrace]]:
        for vantage, requester in self.instruments.requesters.items():
            for trace in requester.window(t0_ns, t1_ns).traces:
                one = trace.series
                yield f"{vantage} {one.service} {one.family} requests#{one.id}", trace


def _kind(name: str) -> str:
    """All flows of a vantage, service, family and transport lose alike at rest: which of them, is chance."""
    return name.partition("#")[0]


def _most(flows: Sequence[Sequence[Stretch]]) -> AtRest:
    every = [s for some in flows for s in some]
    return AtRest(
        max(s.length_ns for s in every), max(s.lost for s in every), max(sum(s.lost for s in some) for some in flows)
    )


def _of_flow(trace: FlowTrace) -> list[Stretch]:
    known = trace.state != NOT_SENT
    some = stretches(trace.due[known], trace.state[known] == ANSWERED, trace.flow.interval_ns)
    return [Stretch(s.start_ns, s.last_ns, s.failed) for s in some]


def _of_requests(trace: RequestTrace) -> list[Stretch]:
    known = np.asarray(trace.known())
    some = stretches(trace.due[known], trace.good()[known], trace.series.interval_ns)
    return [Stretch(s.start_ns, s.last_ns, s.failed) for s in some]
