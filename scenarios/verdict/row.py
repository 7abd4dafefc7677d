"""A row: one limit of a contract, its figure, and what the limit makes of it. Pure; it knows no series and no connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from scenarios.verdict.doubts import About, Doubt
from scenarios.verdict.facts import Kind, Part, Trial, Use
from scenarios.verdict.ranges import Range, State
from topologies.budget import BrokenBudget

Key = Literal[
    "black_hole",
    "new_fail",
    "request_fail",
    "resolve_fail",
    "latency",
    "broken",
    "load_fail",
    "recover",
    "return",
    "ended",
    "steady",
    "latency_steady",
]
Where = Literal["touched", "elsewhere"]
Unit = Literal["ns", "connections", "percent"]

NEEDED = 10
"""So many samples of its kind across the element, or a row that is not broken says nothing."""

KINDS: dict[Key, Kind] = {
    "black_hole": "probe",
    "new_fail": "syn",
    "request_fail": "request",
    "resolve_fail": "query",
}
NOUNS: dict[About, str] = {
    "probe": "probes",
    "syn": "SYNs",
    "request": "requests",
    "query": "queries",
    "connection": "connections",
    "idle": "idle connections",
    "load": "requests of the load",
}
CUT_SHORT = "it still went on when the schedule healed the fault"
PARTS: tuple[Part, Part] = ("fault", "after")


@dataclass(frozen=True, slots=True)
class Row:
    """One limit and its figure. `limit`: ns, percent, or a budget of connections; None: the contract gives none, and
    nothing was judged. `part`: "after" is from the heal on (of `broken`: from the event to the end). `given`: the limit stands in the
    contract, it is no default and no fallback. `fallback`: the key whose limit it is, where it is another's. `censored`: the loss had
    not ended. `by`: whose figure it is. `why`: of `unknown`, what is doubted or was missing; `cpu`: nothing but CPU was."""

    key: Key
    where: Where
    part: Part
    budget: str
    limit: int | float | BrokenBudget | None
    figure: float
    range: Range
    unit: Unit
    samples: int
    state: State | None
    why: str = ""
    by: str = ""
    use: Use | None = None
    among: int = 0
    own: int = 0
    given: bool = True
    fallback: str = ""
    censored: bool = False
    step_ns: int = 0
    doubts: tuple[Doubt, ...] = ()
    cpu: bool = False

    @property
    def name(self) -> str:
        """As reports call it: `black_hole`, `reversion.black_hole`, `elsewhere.new_fail`."""
        heal = "reversion." if self.part == "after" and self.key not in ("return",) else ""
        return f"{'elsewhere.' if self.where == 'elsewhere' else ''}{heal}{self.key}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row is asked of: a limit, whose it is, and of which series or connections."""

    key: Key
    where: Where
    part: Part
    budget: str
    limit: int | float | BrokenBudget | None
    given: bool = True
    fallback: str = ""


def touches(trial: Trial, touched: bool) -> bool:
    """Whether something counts as touched: where the element carried nothing, everything does."""
    return touched or not trial.carries


def doubts_of(trial: Trial) -> tuple[Doubt, ...]:
    """Where the element carried nothing, nothing is elsewhere: a doubt about that is about what is judged."""
    return trial.doubts if trial.carries else tuple(replace(d, where="") for d in trial.doubts)


def about(trial: Trial, things: Iterable[tuple[About, str]], where: Where, part: Part) -> tuple[Doubt, ...]:
    known = set(things)
    return tuple(d for d in doubts_of(trial) if any(d.concerns(kind, vantage, where, part) for kind, vantage in known))


def judged(
    trial: Trial,
    asked: Asked,
    *,
    figure: float,
    found: Range,
    unit: Unit,
    samples: int,
    noun: str,
    by: str = "",
    use: Use | None = None,
    among: int = 0,
    own: int = 0,
    censored: bool = False,
    step_ns: int = 0,
    doubts: tuple[Doubt, ...] = (),
    needed: int | None = None,
    missing: str = "",
) -> Row:
    """The row: low end over the limit fails; then what is after a heal that left something of ours, and a row without samples enough,
    is unknown; high end within is ok. A limit that only stands in for another needs samples to judge what is not broken: with none at
    all it gives no row, and a few more must not be worse. `missing`: what keeps the figure from being known, besides doubts and
    samples."""
    needed = needed if needed is not None else 1 if asked.where == "elsewhere" else NEEDED
    state: State | None = None
    why, cpu = "", False
    short = _short(trial, asked, samples, noun, needed)
    if asked.limit is not None:
        state = found.against(_most(asked.limit, among))
        if asked.part == "after" and trial.heal.ours_left:
            state, why = "unknown", f"{trial.heal.ours_left} is still there"
        elif state == "unknown":
            known = dict.fromkeys((missing, short, *(d.sentence for d in doubts)))
            why = " ".join(k if k.endswith(".") else f"{k}." for k in known if k)
            cpu = bool(doubts) and all(d.cpu for d in doubts) and not missing
        elif state == "ok" and short:
            state, why = (None, "") if asked.fallback else ("unknown", short)
    if state == "unknown" and not why:
        why = "the limit lies within the accuracy of the figure"
    return Row(
        asked.key, asked.where, asked.part, asked.budget, asked.limit, figure, found, unit, samples, state,
        why=why, by=by, use=use, among=among, own=own, given=asked.given, fallback=asked.fallback,
        censored=censored, step_ns=step_ns, doubts=doubts, cpu=cpu,
    )  # fmt: skip


def _short(trial: Trial, asked: Asked, samples: int, noun: str, needed: int) -> str:
    """Which samples were missing; empty where there were enough."""
    where = f"crossed {trial.element}" if asked.where == "touched" and trial.carries else "were there"
    return f"{samples} {noun} {where}, {needed} are needed" if samples < needed else ""


def _most(limit: int | float | BrokenBudget, among: int) -> float:
    """The largest figure that keeps a limit."""
    if not isinstance(limit, BrokenBudget):
        return limit
    if limit.unit == "percentage":
        return limit.amount * among / 100
    return 0 if limit.unit == "own" else limit.amount
