"""Every key of a budget, and what can measure it: the one list that reading, messages and docs are made from.

Must not know how a figure is measured, nor verdicts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from topologies.figures import MINUTE, SECOND, Durations
from topologies.services import PROTOCOLS, Spoken

ANSWERING: tuple[Spoken, ...] = ("http", "https", "tcp with 'expect'")
TCP: tuple[Spoken, ...] = ("http", "https", "tcp")

BROKEN_RULE = "a count such as 0, a percentage such as 0.1%, or own"
SHARE_RULE = "a percentage from 0% to 100%, such as 0.5%"
WATCH = Durations("12s", "over 0s and at most 5m", 1, 5 * MINUTE)
"""For how long a fault may be asked to be watched: longer than five minutes is a test of patience."""

_ANY = Durations()
# A failed request counts as 2 s, so a higher limit would be kept by a service that never answers.
_LATENCY = Durations("20ms", "under 2s, which is what a failed request counts as", 0, 2 * SECOND - 1)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a budget.

    `right`: its values; the two words are for `broken` and for shares. `said`: what it limits. `measured_by`: protocols of which one
    service at least has to be there; empty: nothing measures it yet. `elsewhere`: what holds for what was not touched where the
    contract is silent: nothing lost (`zero`), no limit (`given`), or that the key has no place there (`never`)."""

    name: str
    said: str
    right: Durations | Literal["broken", "share"] = _ANY
    measured_by: tuple[Spoken, ...] = PROTOCOLS
    elsewhere: Literal["zero", "given", "never"] = "never"

    @property
    def field(self) -> str:
        """Its name in a Budget."""
        if isinstance(self.right, Durations):
            return f"{self.name}_ns"
        return self.name if self.right == "broken" else f"{self.name}_percent"

    @property
    def needs(self) -> str:
        """What of a contract can measure it, for a message; nothing where that does not exist yet."""
        *most, last = self.measured_by or ("",)
        if not most:
            return f"a service with protocol {last}" if last else ""
        return "a service" if self.measured_by == PROTOCOLS else f"a service with protocol {', '.join(most)} or {last}"

    def is_measured(self, spoken: Collection[str]) -> bool:
        """Whether services of these protocols can measure it."""
        return any(protocol in self.measured_by for protocol in spoken)


LIMITS = (
    Key(
        "black_hole",
        "for how long probes of one flow were lost, of the worst flow; new connections stand in where no UDP flow crosses",
        elsewhere="zero",
    ),
    Key(
        "new_fail",
        "the longest stretch in which new connections from one client to one service failed",
        measured_by=TCP,
        elsewhere="zero",
    ),
    Key(
        "request_fail",
        "the longest stretch in which new requests failed: refused, reset, wrong, or not whole 2 s after they were due",
        measured_by=ANSWERING,
        elsewhere="zero",
    ),
    Key(
        "resolve_fail",
        "the longest stretch in which queries of a service's name failed",
        measured_by=(),
        elsewhere="zero",
    ),
    Key(
        "latency",
        "99 of 100 requests due in the 5 s after the event; a failed one counts as 2 s",
        _LATENCY,
        measured_by=ANSWERING,
        elsewhere="given",
    ),
    Key(
        "broken",
        "established connections reset, stalled, answered by another backend, or closed without notice; "
        "`own`: only those that ended at the failed element",
        "broken",
        measured_by=TCP,
        elsewhere="zero",
    ),
    Key(
        "load_fail",
        "the share of Locust's load that failed in its worst 5 s",
        "share",
        measured_by=("http",),
        elsewhere="given",
    ),
    Key("recover", "from the event until the last loss ended, before any heal"),
    Key(
        "return",
        "from the heal until the stack serves as before; the longer of 60 s and its longest timer + 30 s unless given",
    ),
)
"""Of a fault class."""

STEADY = (Key("latency_steady", "99 of 100 requests while nothing is broken", _LATENCY, measured_by=ANSWERING),)
"""Of the class `steady`: what is judged once a run, before anything is broken."""

ELSEWHERE = tuple(key for key in LIMITS if key.elsewhere != "never")
"""Those that can be limited for what was not touched."""
