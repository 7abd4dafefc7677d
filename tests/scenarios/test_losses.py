"""What was lost of late that was not lost at rest as well, of requests: probes are told of where quiet is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from probes.requests import Outcome, RequestTrace
from scenarios.instruments import GRACE_NS
from scenarios.losses import UNDER_WAY_NS, Losses
from tests.scenarios.made import END, EVENT, STEP, asked

LAST = END + GRACE_NS // STEP
"""The step at which everything until `END` is known."""


@dataclass
class Requester:
    trace: RequestTrace

    def window(self, t0_ns: int, t1_ns: int) -> Any:
        due = self.trace.due
        mine = (due >= t0_ns) & (due < t1_ns)
        names = (
            "seq",
            "due",
            "sent",
            "connected",
            "handshaken",
            "first_byte",
            "done",
            "sport",
            "status",
            "backend",
            "outcome",
        )
        return SimpleNamespace(traces=(replace(self.trace, **{n: getattr(self.trace, n)[mine] for n in names}),))


def losses(at: Mapping[int, Outcome]) -> Losses:
    """Of requests that were answered but for these, one a step."""
    trace = asked().trace
    outcome = trace.outcome.copy()
    for step, how in at.items():
        outcome[step] = how
    instruments = SimpleNamespace(
        probers={},
        requesters={"us": Requester(replace(trace, outcome=outcome))},
        grace_ns=GRACE_NS,
        last_losses=lambda since_ns: {"requests of us": max(at) * STEP} if at and max(at) * STEP >= since_ns else {},
    )
    return Losses(cast(Any, instruments), 0, EVENT * STEP)


def lost_since_the_event(found: Losses) -> list[int]:
    lost = found.since(EVENT * STEP, LAST * STEP).seen
    kept = {name: lost.at_rest.get(name) for name in lost.stretches}
    return [
        s.last_ns // STEP for name, some in lost.stretches.items() for s in some if not _explained(kept[name], some)
    ]


def _explained(at_rest: Any, some: Any) -> bool:
    return at_rest is not None and not at_rest.beyond(some)


def every(step: int, how: Outcome, last: int = END) -> dict[int, Outcome]:
    return dict.fromkeys(range(0, last, step), how)


def test_answers_without_a_name_are_no_loss_where_some_lacked_it_at_rest() -> None:
    found = losses(every(7, Outcome.NO_IDENTITY))
    assert found.nameless
    assert (found.at_rest, lost_since_the_event(found)) == ({}, [])


def test_they_are_where_all_bore_one() -> None:
    assert lost_since_the_event(losses({EVENT + 20: Outcome.NO_IDENTITY})) == [EVENT + 20]


def test_a_request_that_fails_beside_them_is() -> None:
    found = losses({**every(7, Outcome.NO_IDENTITY), EVENT + 41: Outcome.SILENT})
    assert lost_since_the_event(found) == [EVENT + 41]


@pytest.mark.parametrize("ago", [1, UNDER_WAY_NS // STEP])
def test_what_was_under_way_at_the_event_tells_nothing_of_the_stack_at_rest(ago: int) -> None:
    found = losses({EVENT - ago: Outcome.SILENT})
    assert (found.at_rest, found.nameless) == ({}, frozenset())
    assert losses({EVENT - UNDER_WAY_NS // STEP - 1: Outcome.SILENT}).at_rest


def test_another_beginning_is_looked_at_anew() -> None:
    found = losses({3: Outcome.SILENT, EVENT + 20: Outcome.SILENT})
    assert found.since(EVENT * STEP, LAST * STEP).seen.stretches
    assert not found.since((EVENT + 30) * STEP, LAST * STEP + 1).seen.stretches, "not what was seen of the fault"
