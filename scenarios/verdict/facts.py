"""A finished trial as plain values: what was lost, what was done, what is doubted. It knows no lab, no array and no limit.

Times are ns. A trial has two parts that are judged: from the event to the heal, and from the heal to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scenarios.verdict.doubts import Doubt
from topologies.budget import Judging

Kind = Literal["probe", "syn", "request", "query"]
Use = Literal["busy", "idle", "stream"]
Part = Literal["fault", "after"]
End = Literal["own", "other", "untold"]


@dataclass(frozen=True, slots=True)
class Lost:
    """What one flow or series lost in one part.

    `figure_ns`: of a probe flow its lost probes × Δ, of every other series its longest stretch. `least_ns`, `most_ns`: the same
    figure if the answers that came about 2 s after they were due counted for or against it; None: there were no such answers.
    `open`: the loss had not ended when the part did. `ended_ns`: from the part's start to the end of its last loss.
    """

    samples: int = 0
    failed: int = 0
    figure_ns: int = 0
    open: bool = False
    ended_ns: int = 0
    least_ns: int | None = None
    most_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One probe flow, or one schedule of SYNs, requests or queries (vantage × service × family). `udp`: its probes are UDP, not pings.
    `step_ns`: between two samples. `name` says which it is in a sentence."""

    kind: Kind
    vantage: str
    name: str
    step_ns: int
    touched: bool
    fault: Lost = Lost()
    after: Lost = Lost()
    udp: bool = True

    def part(self, part: Part) -> Lost:
        return self.fault if part == "fault" else self.after


@dataclass(frozen=True, slots=True)
class Held:
    """One connection that was established at the event. `end`: whether it ended at the failed element; `broke`: in which part, None:
    it did not. `again_ns`: from the event until its place was served again; None: not before the heal. An idle one is asked once, and
    its place is not served again before: that tells no end of a loss."""

    use: Use
    vantage: str
    touched: bool
    end: End = "other"
    broke: Part | None = None
    again_ns: int | None = 0


@dataclass(frozen=True, slots=True)
class Load:
    """Locust's worst 5 s: requests that were due, and those of them that failed."""

    requests: int
    failed: int


@dataclass(frozen=True, slots=True)
class Act:
    """What became of the fault. Each string is empty, or says what happened.

    `refused`: the stack's action ended with an error or came too late (`late`: only that). `not_bitten`: our fault is not proven to
    have taken effect. `let_go`: it did not hold until the heal. `did_nothing`: the stack's action reported success and did nothing.
    """

    action: bool = False
    refused: str = ""
    late: bool = False
    not_bitten: str = ""
    let_go: str = ""
    did_nothing: str = ""


@dataclass(frozen=True, slots=True)
class Heal:
    """What the heal brought. `ours_left`: what of ours is still there; `refused`: the stack's undo was refused; `missing`: what of
    the stack does not serve as before; `back_ns`: from the heal until it did, 5 s of quiet not counted."""

    ours_left: str = ""
    refused: str = ""
    missing: str = ""
    back_ns: int | None = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of requests and of the load in one part of a trial. `latencies_ns`: of touched requests due in its first 5 s, a
    failed one 2 s; `latencies_elsewhere_ns`: of the others. `load`, `load_elsewhere`: its worst 5 s."""

    latencies_ns: tuple[int, ...] = ()
    latencies_elsewhere_ns: tuple[int, ...] = ()
    load: Load | None = None
    load_elsewhere: Load | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything a verdict needs.

    `planned`: the fault is a drain, a withdrawal, an upgrade. `carries`: traffic crossed the element in the control window.
    `lateness_ns`: by how much the instrument of a kind of samples was late at most, in each part. `until_heal`: requests and
    load from the event on; `after`: from the heal on. `silent`: what answered nothing in the control window.
    `longest_timer_ns`: of the timers of the stack that are known. `watched`: how long the fault stood and by which timers, for
    sentences. `stood_ns`: from the event to the heal. `cut_short`: a schedule healed the fault at an instant of its own, so that loss
    which still went on then has not ended only if it already exceeds a limit.
    """

    fault: str
    element: str
    judging: tuple[Judging, ...]
    planned: bool = False
    carries: bool = True
    series: tuple[Series, ...] = ()
    connections: tuple[Held, ...] = ()
    until_heal: Loaded = Loaded()
    after: Loaded = Loaded()
    act: Act = Act()
    heal: Heal = Heal()
    doubts: tuple[Doubt, ...] = ()
    silent: tuple[str, ...] = ()
    lateness_ns: Mapping[tuple[Kind, Part], int] = field(default_factory=dict)
    longest_timer_ns: int = 0
    watched: str = ""
    stood_ns: int = 0
    cut_short: bool = False

    def loaded(self, part: Part) -> Loaded:
        """Of either part."""
        return self.until_heal if part == "fault" else self.after
