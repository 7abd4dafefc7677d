"""Trials written by hand, as short as a sentence. Times are in ms here and in ns in what is made."""

from __future__ import annotations

from typing import Any

from scenarios.verdict import Doubt, Held, Judged, Lost, Series, Trial, judge
from scenarios.verdict.facts import End, Kind, Part, Use
from scenarios.verdict.rows import Row
from topologies.budget import BrokenBudget, Budget, Judging

MS = 1_000_000
S = 1_000 * MS
ELEMENT = "us-l4-1"
NONE_BROKEN = BrokenBudget("count")
OWN = BrokenBudget("own")


def lost(
    ms: float = 0, *, samples: int = 1_000, step: float = 10, open: bool = False, ended: float | None = None
) -> Lost:
    """So many ms without an answer, every sample of them lost."""
    failed = min(samples, round(ms / step))
    return Lost(samples, failed, int(ms * MS), open, int((ms if ended is None else ended) * MS))


def series(
    kind: Kind,
    ms: float = 0,
    *,
    after: float = 0,
    samples: int = 1_000,
    step: float = 10,
    open: bool = False,
    ended: float | None = None,
    touched: bool = True,
    vantage: str = "eu-client",
    udp: bool = True,
) -> Series:
    """Of one kind, with so many ms of loss from the event to the heal, and from the heal on."""
    return Series(
        kind,
        vantage,
        f"{kind} of {vantage}",
        int(step * MS),
        touched,
        lost(ms, samples=samples, step=step, open=open, ended=ended),
        lost(after, samples=samples, step=step),
        udp,
    )


def probes(ms: float = 0, **more: Any) -> Series:
    return series("probe", ms, **more)


def syns(ms: float = 0, **more: Any) -> Series:
    return series("syn", ms, step=more.pop("step", 50), **more)


def requests(ms: float = 0, **more: Any) -> Series:
    return series("request", ms, step=more.pop("step", 50), **more)


def held(
    broken: int = 0,
    of: int = 30,
    *,
    use: Use = "busy",
    end: End = "other",
    touched: bool = True,
    part: Part = "fault",
    again: float | None = 0,
) -> tuple[Held, ...]:
    """Connections of one use, of which so many broke, and whose places were served again so many ms after the event."""
    served = None if again is None else int(again * MS)
    whole = Held(use, "eu-client", touched, end)
    return (*(Held(use, "eu-client", touched, end, part, served) for _ in range(broken)), *([whole] * (of - broken)))


def allows(*, elsewhere: Budget | None = None, broken: BrokenBudget | None = None, **limits_ms: float) -> Budget:
    """A budget, its durations in ms and the share of the load in percent."""
    shares = {"load_fail"} & set(limits_ms)
    return Budget(
        **{f"{key}_ns": int(ms * MS) for key, ms in limits_ms.items() if key not in shares},  # type: ignore[arg-type]
        **{f"{key}_percent": limits_ms[key] for key in shares},  # type: ignore[arg-type]
        broken=broken,
        elsewhere=elsewhere,
    )


def trial(*seen: Series, budget: Budget | None = None, name: str = "kill-node", **more: Any) -> Trial:
    """A trial of one element, judged by one budget; none: its class has none."""
    judging = () if budget is None else (Judging(name, budget, kin=False),)
    return Trial(**{"fault": "kill-node", "element": ELEMENT, "judging": judging, "series": seen, **more})


def verdict(*seen: Series, **more: Any) -> Judged:
    return judge(trial(*seen, **more))


def rows(judged: Judged, name: str) -> list[Row]:
    return [row for row in judged.rows if row.name == name]


def row(judged: Judged, name: str) -> Row:
    """The one row of that name."""
    (found,) = rows(judged, name)
    return found


def stall(ms: float, **more: Any) -> Doubt:
    return Doubt("stall", f"The prober stalled for {ms:g} ms.", "widens", width_ns=int(ms * MS), **more)


def dead_prober(**more: Any) -> Doubt:
    return Doubt("prober", "The prober in eu-client is dead.", "hides", **more)


def stepped(**more: Any) -> Doubt:
    return Doubt("clock", "The wall clock was stepped by 7 ms.", "blurs", **more)


def starved(**more: Any) -> Doubt:
    return Doubt("lab-lateness", "The lab had too little CPU.", "makes", cpu=True, **more)
