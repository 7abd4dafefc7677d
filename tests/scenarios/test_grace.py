"""For how long an answer is waited for before its absence is a loss: by how long answers take while nothing is broken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from probes.flows import ANSWERED
from scenarios.conclude import every_second
from scenarios.instruments import GRACE_NS, GRACES_NS, Instruments

MS = 1_000_000
S = 1_000 * MS


def learned(request_ms: float, probe_ms: float = 1) -> int:
    """What is learned of requests and probes that all take so long."""

    class Requester:
        def window(self, t0_ns: int, t1_ns: int) -> Any:
            due = np.arange(t0_ns, t1_ns, 50 * MS)
            good = np.ones(len(due), np.bool_)
            trace = SimpleNamespace(due=due, done=due + int(request_ms * MS), good=lambda: good)
            return SimpleNamespace(traces=(trace,))

    class Prober:
        def window(self, *_: int) -> Any:
            state = np.full(10, ANSWERED)
            return SimpleNamespace(
                flows=(SimpleNamespace(state=state, answer_ns=lambda: np.full(10, int(probe_ms * MS))),)
            )

    found = Instruments(cast(Any, SimpleNamespace()))
    found.requesters, found.probers = cast(Any, {"us": Requester()}), cast(Any, {"us": Prober()})
    found.learn_grace()
    return found.grace_ns


@pytest.mark.parametrize(
    ("ms", "grace"), [(1, GRACE_NS), (149, GRACE_NS), (350, 1200 * MS), (900, 2 * S), (1900, 2 * S)]
)
def test_services_that_take_longer_are_given_longer_and_never_more_than_2_s(ms: float, grace: int) -> None:
    """Of one that takes 350 ms some request was always pending for more than 300: no trial of it was ever quiet."""
    assert learned(ms) == grace
    assert learned(1, probe_ms=ms) == grace
    assert grace in GRACES_NS


def test_the_worst_five_seconds_of_the_load_are_looked_for_until_the_heal() -> None:
    assert every_second(0, int(2.4 * S)) == [0, S, 2 * S, int(2.4 * S)]
    assert every_second(0, -S) == [0], "a fault that stood for less"
