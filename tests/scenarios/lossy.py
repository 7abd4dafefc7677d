"""Instruments that lost what they are told to have lost, for tests of who waits for quiet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from probes.flows import ANSWERED, LOST, FlowTrace, FlowWindow
from scenarios.instruments import GRACE_NS

S = 1_000_000_000
STEP = 10_000_000


@dataclass
class Prober:
    """Flows of which these probes were lost, numbered from the start of the control window."""

    start_ns: int
    lost: frozenset[int]

    def window(self, t0_ns: int, t1_ns: int) -> FlowWindow:
        first, after = ((t - self.start_ns) // STEP for t in (t0_ns, t1_ns))
        number = np.arange(first, after, dtype=np.int64)
        due = self.start_ns + number * STEP
        state = np.where(np.isin(number, list(self.lost)), LOST, ANSWERED).astype(np.uint8)
        none = np.zeros(len(due), np.int64)
        flow = cast(Any, SimpleNamespace(id=0, interval_ns=STEP, service="echo", family=4, transport="udp"))
        trace = FlowTrace(
            flow, number, due, due, none, due, none.astype(np.uint8), state, none.astype(np.bool_),
        )  # fmt: skip
        return FlowWindow(t0_ns, t1_ns, t1_ns, (), (trace,), 0)


@dataclass
class Instruments:
    """Says what it is told to."""

    losses: Mapping[str, int] = field(default_factory=dict)
    asked: int | None = None
    probers: Mapping[str, Prober] = field(default_factory=dict)
    requesters: Mapping[str, object] = field(default_factory=dict)
    grace_ns: int = GRACE_NS

    def last_losses(self, since_ns: int) -> Mapping[str, int]:
        return {who: t for who, t in self.losses.items() if t >= since_ns}

    def unsteady(self, since_ns: int) -> str:
        """As the real ones: who has had no probe due since then is not steady either."""
        t1_ns = time.monotonic_ns() - GRACE_NS
        states = {v: p.window(since_ns, max(since_ns, t1_ns)).flows[0].state for v, p in self.probers.items()}
        lossy = [v for v, state in states.items() if not state.size or np.any(state == LOST)]
        return "; ".join([*(f"probes of {v} are lost" for v in lossy), *filter(None, [self.unfilled()])])

    def unfilled(self) -> str:
        return ""

    def asked_ns(self) -> int | None:
        return time.monotonic_ns() if self.asked is None else self.asked
