"""How many of the connections that were held broke, of each use, and whether at the failed element alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scenarios.verdict.doubts import About, strongest
from scenarios.verdict.facts import Held, Part, Trial, Use
from scenarios.verdict.ranges import Range
from scenarios.verdict.row import NOUNS, PARTS, Asked, Row, Where, about, doubts_of, judged, touches
from topologies.budget import BrokenBudget


def connections(
    trial: Trial, budget: str, limit: BrokenBudget | None, where: Where, part: Part, *, given: bool
) -> Iterator[Row]:
    """A row for busy, idle and streaming connections each; those of which none was there give no row. All of them together are the
    samples."""
    there = [c for c in trial.connections if touches(trial, c.touched) == (where == "touched")]
    if not there and trial.connections and where == "touched" and limit is not None:
        yield _count(trial, Asked("broken", where, part, budget, limit, given), [], 0, None)
    uses: tuple[Use, ...] = ("busy", "idle", "stream")
    for use in uses:
        mine = [c for c in there if c.use == use]
        if mine:
            yield _count(trial, Asked("broken", where, part, budget, limit, given), mine, len(there), use)


def _count(trial: Trial, asked: Asked, mine: Sequence[Held], samples: int, use: Use | None) -> Row:
    parts = ("fault",) if asked.part == "fault" else PARTS
    broken = [c for c in mine if c.broke in parts]
    own = [c for c in broken if c.end == "own"]
    things = [(kind, c.vantage) for c in mine for kind in _kinds(c)] or [("connection", "")]
    doubts = about(trial, things, asked.where, asked.part)
    _, hides, _, count = strongest(doubts)
    own_only = isinstance(asked.limit, BrokenBudget) and asked.limit.unit == "own"
    # of `own`, what broke and did not end there is too many; whose end cannot be told may be
    against = [c for c in broken if c.end == "other" or not own_only]
    untold = [c for c in broken if c.end == "untold" and own_only]
    low = sum(1 for c in against if not _may_be_ours(trial, c, asked)) - count
    high = None if hides else len(against) + len(untold) + count
    found = Range(max(0, low), high, surely=low > 0)
    return judged(
        trial,
        asked,
        figure=len(broken),
        found=found,
        unit="connections",
        samples=samples,
        noun=NOUNS["connection"],
        use=use,
        among=len(mine),
        own=len(own),
        doubts=doubts,
        missing=f"of {len(untold)} that broke nobody can tell where they ended" if untold else "",
    )


def _kinds(held: Held) -> tuple[About, ...]:
    return ("connection", "idle") if held.use == "idle" else ("connection",)


def _may_be_ours(trial: Trial, held: Held, asked: Asked) -> bool:
    """Whether a doubt may have broken this one."""
    return any(
        d.makes and d.concerns(kind, held.vantage, asked.where, asked.part)
        for d in doubts_of(trial)
        for kind in _kinds(held)
    )
