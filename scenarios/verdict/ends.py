"""When losses ended: by themselves, not at all, or with what the stack had to do after the heal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scenarios.verdict.doubts import About, strongest
from scenarios.verdict.facts import Series, Trial
from scenarios.verdict.ranges import UNKNOWN, Range, around, doubted, worst
from scenarios.verdict.recovery import lost_places, recovery
from scenarios.verdict.row import CUT_SHORT, NEEDED, Asked, Row, about, doubts_of, judged, touches
from scenarios.verdict.times import range_of, width_ns
from topologies.budget import Judging

RETURN_NS = 60_000_000_000
RETURN_AFTER_TIMER_NS = 30_000_000_000
"""Where the contract gives no `return`: the longer of the first, and the stack's longest timer and the second."""


def recover(trial: Trial, budget: str, limit: int | None) -> Iterator[Row]:
    if limit is None:
        return
    touched = [s for s in trial.series if touches(trial, s.touched)]
    places, known = _places(trial), recovery(trial)
    still = [range_of(trial, s, "touched", "fault") for s in touched if s.fault.open]
    open_ = known is not None and known.censored
    whole = worst([*(_until(trial, s) for s in touched), places.served])
    if (places.surely or any(r.surely for r in still)) and not trial.cut_short:
        whole = Range(max(whole.low, limit + 1), None, surely=True)
    elif open_:
        whole = Range(whole.low, None, whole.surely)
    yield judged(
        trial,
        Asked("recover", "touched", "fault", budget, limit),
        figure=known.after_ns if known else 0,
        found=whole,
        unit="ns",
        samples=sum(s.fault.samples for s in touched),
        noun="samples",
        censored=open_,
        missing=CUT_SHORT if trial.cut_short and open_ else "",
        step_ns=max((s.step_ns for s in touched), default=0),
        doubts=about(trial, {*((s.kind, s.vantage) for s in touched), *places.doubted}, "touched", "fault"),
    )


def _until(trial: Trial, series: Series) -> Range:
    """From the event until the last loss of a series ended. A sample that straddles its 2 s may be the last one, and may be none."""
    makes, hides, strong, _ = strongest(
        d for d in doubts_of(trial) if d.concerns(series.kind, series.vantage, "touched", "fault")
    )
    lost, width = series.fault, width_ns(trial, series, "fault")
    least = lost.ended_ns if lost.least_ns is None else min(lost.ended_ns, lost.least_ns)
    found = around(lost.ended_ns, least=least, most=lost.ended_ns, width=width, strong=strong)
    unclear = lost.most_ns is not None and lost.most_ns > lost.figure_ns
    return doubted(found, makes=makes, hides=hides or unclear)


@dataclass(frozen=True, slots=True)
class _Places:
    """The touched places whose connection broke before the heal. `served`: from the event until the last one was served again.
    `open`: one was not before the heal, `surely`: beyond doubt, and how many (`number`). `doubted`: whose doubts are about them."""

    served: Range
    open: bool
    surely: bool
    number: int
    doubted: frozenset[tuple[About, str]]


def _places(trial: Trial) -> _Places:
    busy = [c for c in trial.connections if touches(trial, c.touched) and c.use != "idle"]
    broken = list(lost_places(trial))
    ranges, never = [], 0
    for c in broken:
        makes, hides, strong, count = strongest(
            d for d in doubts_of(trial) if d.concerns("connection", c.vantage, "touched", "fault")
        )
        if c.again_ns is None:
            never += 0 if makes else 1
            continue
        # as many as broke at rest may have broken by themselves
        low = max(0, c.again_ns - strong) if len(broken) > count else 0
        ranges.append(doubted(Range(low, c.again_ns + strong, surely=low > 0), makes=makes, hides=hides))
    whose: frozenset[tuple[About, str]] = frozenset(("connection", c.vantage) for c in busy)
    _, hides, _, count = strongest(about(trial, whose, "touched", "fault"))
    served = worst(ranges)
    return _Places(
        served=doubted(served, makes=False, hides=hides),
        open=any(c.again_ns is None for c in broken),
        surely=never > count,
        number=sum(1 for c in broken if c.again_ns is None),
        doubted=whose,
    )


def ended(trial: Trial, budget: str) -> Iterator[Row]:
    """A class with a limit for what was touched is broken by any loss that has not ended, whichever keys it names: of samples, and of
    connections whose place was not served again. Where a schedule ended the fault, its limits say what is too long."""
    still = [s for s in trial.series if touches(trial, s.touched) and s.fault.open]
    places = _places(trial)
    if not still and not places.open:
        return
    found = worst([*(range_of(trial, s, "touched", "fault") for s in still), Range(0, None, places.surely)])
    most = max(still, key=lambda s: (s.fault.figure_ns, s.name), default=None)
    yield judged(
        trial,
        Asked("ended", "touched", "fault", budget, 0),
        figure=most.fault.figure_ns if most else 0,
        found=UNKNOWN if trial.cut_short else found,
        unit="ns",
        samples=NEEDED,
        noun="samples",
        by=most.name if most else f"{places.number} places whose connection broke were not served again",
        censored=True,
        missing=CUT_SHORT if trial.cut_short else "",
        step_ns=most.step_ns if most else 0,
        doubts=about(trial, {*((s.kind, s.vantage) for s in still), *places.doubted}, "touched", "fault"),
    )


def returned(trial: Trial, judging: Judging) -> Row:
    """From the heal until the stack serves as before. A refused undo breaks it, and so does a stack that does not come back."""
    given = judging.budget.return_ns
    limit = given if given is not None else max(RETURN_NS, trial.longest_timer_ns + RETURN_AFTER_TIMER_NS)
    heal, back_ns = trial.heal, trial.heal.back_ns
    late = back_ns is not None and back_ns > limit
    never = back_ns is None or bool(not late and (heal.refused or heal.missing))
    doubts = tuple(d for d in trial.doubts if not d.about)
    makes, hides, strong, _ = strongest(doubts)
    if never or back_ns is None:
        found = Range(limit + 1, None, surely=True)
    else:
        low = max(0, back_ns - strong)
        found = Range(low, back_ns + strong, surely=low > 0)
    return judged(
        trial,
        Asked("return", "touched", "after", judging.name, limit, given is not None),
        figure=back_ns or 0,
        found=doubted(found, makes=makes, hides=hides),
        unit="ns",
        samples=NEEDED,
        noun="samples",
        by=heal.refused or heal.missing,
        censored=never,
        doubts=doubts,
    )
