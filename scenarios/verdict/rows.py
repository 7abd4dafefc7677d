"""Each limit of a contract beside what a trial measured: a row a limit, with its range and its samples. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scenarios.verdict.doubts import About, Doubt, strongest
from scenarios.verdict.facts import Held, Kind, Load, Part, Series, Trial, Use
from scenarios.verdict.ranges import NOTHING, UNKNOWN, Range, State, around, worst
from topologies.budget import BrokenBudget, Budget, Judging, Limits, effective_limits

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
]
Where = Literal["touched", "elsewhere"]
Unit = Literal["ns", "connections", "percent"]

NEEDED = 10
"""So many samples of its kind across the element, or a row that is not broken says nothing."""

LATENCY_SAMPLES = 100
"""From so many requests on there is a 99th percentile."""

FAILED_LATENCY_NS = 2_000_000_000

LEAST_STEP_NS = 1_000
"""Nobody wants to read of a latency, or needs for its limit, more than its microseconds."""

RETURN_NS = 60_000_000_000
RETURN_AFTER_TIMER_NS = 30_000_000_000
"""Where the contract gives no `return`: the longer of the first, and the stack's longest timer and the second."""

_KINDS: dict[Key, Kind] = {
    "black_hole": "probe",
    "new_fail": "syn",
    "request_fail": "request",
    "resolve_fail": "query",
}
_NOUNS: dict[About, str] = {
    "probe": "probes",
    "syn": "SYNs",
    "request": "requests",
    "query": "queries",
    "connection": "connections",
    "load": "requests of the load",
}
_CUT_SHORT = "it still went on when the schedule healed the fault"
_PARTS: tuple[Part, Part] = ("fault", "after")


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
class _Asked:
    """What a row is asked of: a limit, whose it is, and of which series or connections."""

    key: Key
    where: Where
    part: Part
    budget: str
    limit: int | float | BrokenBudget | None
    given: bool = True
    fallback: str = ""


def rows_of(trial: Trial) -> tuple[Row, ...]:
    """Every row of every budget. One that has a limit is judged; the others only tell their figure."""
    judging = [j for j in trial.judging if not j.budget.not_promised]
    if not judging and trial.judging:
        return tuple(_without_limits(trial))
    found: list[Row] = []
    for one in judging or [Judging("", Budget(), kin=False)]:
        found += _of_budget(trial, one)
    return tuple(found)


def _without_limits(trial: Trial) -> Iterator[Row]:
    for row in _of_budget(trial, Judging("", Budget(), kin=False)):
        if row.where == "touched" and row.key != "return":
            yield row


def _of_budget(trial: Trial, judging: Judging) -> Iterator[Row]:
    limits = effective_limits(judging.budget, trial.planned, requests=any(s.kind == "request" for s in trial.series))
    for part in _PARTS:
        yield from _times(trial, judging.name, limits, part)
        yield from _connections(trial, judging.name, limits.broken, "touched", part, given=True)
    yield from _latency(trial, judging.name, limits.latency_ns, "touched")
    yield from _load(trial, judging.name, limits.load_fail_percent, "touched")
    yield from _recover(trial, judging.name, limits.recover_ns)
    if judging.budget.judges_touched:
        yield from _ended(trial, judging.name)
    yield _return(trial, judging)
    if trial.carries:
        yield from _elsewhere(trial, judging)


# -- times ---------------------------------------------------------------------------------------------------------


def _times(trial: Trial, budget: str, limits: Limits, part: Part) -> Iterator[Row]:
    given: tuple[tuple[Key, int | None, str], ...] = (
        ("black_hole", limits.black_hole_ns, ""),
        ("new_fail", limits.new_fail_ns, ""),
        ("request_fail", limits.request_fail_ns, limits.request_fail_from or ""),
        ("resolve_fail", limits.resolve_fail_ns, ""),
    )
    for key, limit, fallback in given:
        chosen = _series(trial, key)
        if not chosen and (limit is None or fallback):
            continue
        yield _time(trial, _Asked(key, "touched", part, budget, limit, not fallback, fallback), chosen)


def _elsewhere(trial: Trial, judging: Judging) -> Iterator[Row]:
    given, untouched = judging.budget.elsewhere or Budget(), judging.budget.untouched
    limits: tuple[tuple[Key, int | None, bool], ...] = (
        ("black_hole", untouched.black_hole_ns, given.black_hole_ns is not None),
        ("new_fail", untouched.new_fail_ns, given.new_fail_ns is not None),
        ("request_fail", untouched.request_fail_ns, given.request_fail_ns is not None),
        ("resolve_fail", untouched.resolve_fail_ns, given.resolve_fail_ns is not None),
    )
    for part in _PARTS:
        for key, limit, is_given in limits:
            chosen = [s for s in trial.series if s.kind == _KINDS[key] and not s.touched]
            if any(s.part(part).samples for s in chosen):
                yield _time(trial, _Asked(key, "elsewhere", part, judging.name, limit, is_given), chosen)
        yield from _connections(
            trial, judging.name, untouched.broken, "elsewhere", part, given=given.broken is not None
        )
    yield from _latency(trial, judging.name, untouched.latency_ns, "elsewhere")
    yield from _load(trial, judging.name, untouched.load_fail_percent, "elsewhere")


def _touches(trial: Trial, touched: bool) -> bool:
    """Whether something counts as touched: where the element carried nothing, everything does."""
    return touched or not trial.carries


def _doubts(trial: Trial) -> tuple[Doubt, ...]:
    """Where the element carried nothing, nothing is elsewhere: a doubt about that is about what is judged."""
    return trial.doubts if trial.carries else tuple(replace(d, where="") for d in trial.doubts)


def _series(trial: Trial, key: Key) -> list[Series]:
    """The series whose worst figure a key is. Where no UDP flow crosses the element, SYNs tell its black hole, too."""
    kinds: set[Kind] = {_KINDS[key]}
    touched = [s for s in trial.series if _touches(trial, s.touched)]
    if key == "black_hole" and not any(s.kind == "probe" and s.udp for s in touched):
        kinds.add("syn")
    return [s for s in touched if s.kind in kinds]


def _time(trial: Trial, asked: _Asked, chosen: Sequence[Series]) -> Row:
    part = asked.part
    ranged = [(_range(trial, s, asked.where, part), s) for s in chosen]
    whole = worst(r for r, _ in ranged)
    by = max(ranged, key=lambda one: (one[0].low, one[1].part(part).figure_ns, one[1].name), default=None)
    figure = max((s.part(part).figure_ns for s in chosen), default=0)
    samples = sum(s.part(part).samples for s in chosen)
    if asked.key == "black_hole":
        samples += _standing_in(trial, chosen, part)
    return _judged(
        trial,
        asked,
        figure=figure,
        found=whole,
        unit="ns",
        samples=samples,
        noun=_NOUNS[_KINDS[asked.key]],
        by=by[1].name if by and by[1].part(part).failed else "",
        censored=part == "fault" and any(s.fault.open for s in chosen),
        step_ns=max((s.step_ns for s in chosen), default=0),
        doubts=_about(trial, ((s.kind, s.vantage) for s in chosen), asked.where, part),
        missing=_CUT_SHORT if part == "fault" and trial.cut_short and any(s.fault.open for s in chosen) else "",
    )


def _standing_in(trial: Trial, chosen: Sequence[Series], part: Part) -> int:
    """Where fewer than ten UDP probes crossed and none is lost, touched SYNs count with them. One that was lost shows nothing."""
    udp = [s.part(part) for s in chosen if s.kind == "probe" and s.udp]
    if sum(lost.samples for lost in udp) >= NEEDED or any(lost.failed for lost in udp):
        return 0
    syns = [s for s in trial.series if s.kind == "syn" and s not in chosen and _touches(trial, s.touched)]
    return sum(s.part(part).samples - s.part(part).failed for s in syns)


def _about(trial: Trial, things: Iterable[tuple[About, str]], where: Where, part: Part) -> tuple[Doubt, ...]:
    known = set(things)
    return tuple(d for d in _doubts(trial) if any(d.concerns(kind, vantage, where, part) for kind, vantage in known))


def _range(trial: Trial, series: Series, where: Where, part: Part) -> Range:
    lost = series.part(part)
    makes, hides, strong, _ = strongest(
        d for d in _doubts(trial) if d.concerns(series.kind, series.vantage, where, part)
    )
    if makes:
        return UNKNOWN
    least = lost.figure_ns if lost.least_ns is None else lost.least_ns
    most = lost.figure_ns if lost.most_ns is None else lost.most_ns
    width = _width_ns(trial, series, part)
    found = around(lost.figure_ns, least=least, most=most, width=width, strong=strong)
    more = hides or (lost.open and trial.cut_short and part == "fault")
    return Range(found.low, None, found.surely) if more else found


def _width_ns(trial: Trial, series: Series, part: Part) -> int:
    return series.step_ns + trial.lateness_ns.get((series.kind, part), 0)


# -- connections ---------------------------------------------------------------------------------------------------


def _connections(
    trial: Trial, budget: str, limit: BrokenBudget | None, where: Where, part: Part, *, given: bool
) -> Iterator[Row]:
    """A row for busy, idle and streaming connections each; those of which none was there give no row. All of them together are the
    samples."""
    there = [c for c in trial.connections if _touches(trial, c.touched) == (where == "touched")]
    if not there and trial.connections and where == "touched" and limit is not None:
        yield _count(trial, _Asked("broken", where, part, budget, limit, given), [], 0, None)
    uses: tuple[Use, ...] = ("busy", "idle", "stream")
    for use in uses:
        mine = [c for c in there if c.use == use]
        if mine:
            yield _count(trial, _Asked("broken", where, part, budget, limit, given), mine, len(there), use)


def _count(trial: Trial, asked: _Asked, mine: Sequence[Held], samples: int, use: Use | None) -> Row:
    parts = ("fault",) if asked.part == "fault" else _PARTS
    broken = [c for c in mine if c.broke in parts]
    own = [c for c in broken if c.end == "own"]
    doubts = _about(
        trial, (("connection", c.vantage) for c in mine) if mine else [("connection", "")], asked.where, asked.part
    )
    makes, hides, _, count = strongest(doubts)
    own_only = isinstance(asked.limit, BrokenBudget) and asked.limit.unit == "own"
    # of `own`, what broke and did not end there is too many; whose end cannot be told may be
    against = [c for c in broken if c.end == "other" or not own_only]
    untold = [c for c in broken if c.end == "untold" and own_only]
    low = sum(1 for c in against if not _may_be_ours(trial, c, asked)) - count
    high = None if makes or hides else len(against) + len(untold) + count
    found = Range(max(0, low), high, surely=low > 0)
    return _judged(
        trial,
        asked,
        figure=len(broken),
        found=found,
        unit="connections",
        samples=samples,
        noun=_NOUNS["connection"],
        use=use,
        among=len(mine),
        own=len(own),
        doubts=doubts,
        missing=f"of {len(untold)} that broke nobody can tell where they ended" if untold else "",
    )


def _may_be_ours(trial: Trial, held: Held, asked: _Asked) -> bool:
    """Whether a doubt may have broken this one."""
    return any(
        d.effect == "makes" and d.concerns("connection", held.vantage, asked.where, asked.part) for d in _doubts(trial)
    )


def _most(limit: int | float | BrokenBudget, among: int) -> float:
    """The largest figure that keeps a limit."""
    if not isinstance(limit, BrokenBudget):
        return limit
    if limit.unit == "percentage":
        return limit.amount * among / 100
    return 0 if limit.unit == "own" else limit.amount


# -- the others ----------------------------------------------------------------------------------------------------


def _latency(trial: Trial, budget: str, limit: int | None, where: Where) -> Iterator[Row]:
    if where == "touched":
        waits = trial.latencies_ns if trial.carries else (*trial.latencies_ns, *trial.latencies_elsewhere_ns)
    else:
        waits = trial.latencies_elsewhere_ns
    if limit is None or (where == "elsewhere" and not waits):
        return
    asked = _Asked("latency", where, "fault", budget, limit)
    ordered = sorted(waits)
    enough = len(ordered) >= LATENCY_SAMPLES
    # of fewer than a hundred, the second longest is one that a hundred could not have had below their 99th percentile either
    rank = -(-99 * len(ordered) // 100) - 1 if enough else max(0, len(ordered) - 2)
    figure = ordered[rank] if ordered else 0
    doubts = _about(trial, [("request", "")], where, "fault")
    makes, hides, strong, _ = strongest(doubts)
    width = strong + trial.lateness_ns.get(("request", "fault"), 0)
    certain = figure >= FAILED_LATENCY_NS  # it failed, which no lateness of ours explains
    low = figure - strong if certain else figure - width
    found = Range(max(0, low), figure + width)
    if makes:
        found = UNKNOWN
    elif hides:
        found = Range(found.low, None)
    if not enough:
        found = Range(found.low if len(ordered) > 1 else 0, None)
    yield _judged(
        trial, asked, figure=figure, found=found, unit="ns", samples=len(ordered), noun=_NOUNS["request"],
        doubts=doubts, needed=LATENCY_SAMPLES, step_ns=int(max(width, LEAST_STEP_NS)),
    )  # fmt: skip


def _load(trial: Trial, budget: str, limit: float | None, where: Where) -> Iterator[Row]:
    load = trial.load_elsewhere if where == "elsewhere" else trial.load if trial.carries else _worse(trial)
    if limit is None or (where == "elsewhere" and load is None):
        return
    asked = _Asked("load_fail", where, "fault", budget, limit)
    doubts = _about(trial, [("load", "")], where, "fault")
    makes, hides, _, _ = strongest(doubts)
    share = _share(load)
    found = UNKNOWN if makes or load is None else Range(share, None if hides else share, surely=share > 0)
    yield _judged(
        trial, asked, figure=share, found=found, unit="percent", samples=load.requests if load else 0,
        noun=_NOUNS["load"], doubts=doubts,
    )  # fmt: skip


def _share(load: Load | None) -> float:
    """How much of it failed, in percent."""
    return 100 * load.failed / load.requests if load and load.requests else 0.0


def _worse(trial: Trial) -> Load | None:
    """Where the element carried nothing, the load is judged that was worse off."""
    return max((one for one in (trial.load, trial.load_elsewhere) if one), key=_share, default=None)


def _recover(trial: Trial, budget: str, limit: int | None) -> Iterator[Row]:
    if limit is None:
        return
    touched = [s for s in trial.series if _touches(trial, s.touched)]
    places = _places(trial)
    still = [_range(trial, s, "touched", "fault") for s in touched if s.fault.open]
    open_ = bool(still) or places.open
    whole = worst([*(_until(trial, s) for s in touched), places.served])
    if (places.surely or any(r.surely for r in still)) and not trial.cut_short:
        whole = Range(max(whole.low, limit + 1), None, surely=True)
    elif open_:
        whole = Range(whole.low, None, whole.surely)
    figure = max((s.fault.ended_ns for s in touched), default=0)
    yield _judged(
        trial,
        _Asked("recover", "touched", "fault", budget, limit),
        figure=max(figure, places.last_ns, trial.stood_ns if open_ else 0),
        found=whole,
        unit="ns",
        samples=sum(s.fault.samples for s in touched),
        noun="samples",
        censored=open_,
        missing=_CUT_SHORT if trial.cut_short and open_ else "",
        step_ns=max((s.step_ns for s in touched), default=0),
        doubts=_about(trial, {*((s.kind, s.vantage) for s in touched), *places.doubted}, "touched", "fault"),
    )


def _until(trial: Trial, series: Series) -> Range:
    """From the event until the last loss of a series ended. A sample that straddles its 2 s may be the last one, and may be none."""
    makes, hides, strong, _ = strongest(
        d for d in _doubts(trial) if d.concerns(series.kind, series.vantage, "touched", "fault")
    )
    if makes:
        return UNKNOWN
    lost, width = series.fault, _width_ns(trial, series, "fault")
    least = lost.ended_ns if lost.least_ns is None else min(lost.ended_ns, lost.least_ns)
    found = around(lost.ended_ns, least=least, most=lost.ended_ns, width=width, strong=strong)
    unclear = lost.most_ns is not None and lost.most_ns > lost.figure_ns
    return Range(found.low, None, found.surely) if hides or unclear else found


@dataclass(frozen=True, slots=True)
class _Places:
    """The touched places whose connection broke before the heal. `served`: from the event until the last one was served again; `last_ns`:
    its figure. `open`: one was not before the heal, and `surely`: beyond doubt. `doubted`: what doubts about them are about."""

    served: Range
    last_ns: int
    open: bool
    surely: bool
    number: int
    doubted: frozenset[tuple[About, str]]


def _places(trial: Trial) -> _Places:
    """An idle connection is asked once, shortly before the heal: its break says nothing of when a loss ended."""
    busy = [c for c in trial.connections if _touches(trial, c.touched) and c.use != "idle"]
    broken = [c for c in busy if c.broke == "fault"]
    ranges, never, known = [], 0, 0
    for c in broken:
        makes, hides, strong, count = strongest(
            d for d in _doubts(trial) if d.concerns("connection", c.vantage, "touched", "fault")
        )
        if makes:
            ranges.append(UNKNOWN)
            continue
        known += 1
        if c.again_ns is None:
            never += 1
            continue
        # as many as broke at rest may have broken by themselves
        low = max(0, c.again_ns - strong) if len(broken) > count else 0
        ranges.append(Range(low, None if hides else c.again_ns + strong, surely=low > 0))
    about: frozenset[tuple[About, str]] = frozenset(("connection", c.vantage) for c in busy)
    _, hides, _, count = strongest(_about(trial, about, "touched", "fault"))
    served = worst(ranges)
    return _Places(
        served=Range(served.low, None, served.surely) if hides else served,
        last_ns=max((c.again_ns or 0 for c in broken), default=0),
        open=any(c.again_ns is None for c in broken),
        surely=never > count,
        number=sum(1 for c in broken if c.again_ns is None),
        doubted=about,
    )


def _ended(trial: Trial, budget: str) -> Iterator[Row]:
    """A class with a limit for what was touched is broken by any loss that has not ended, whichever keys it names: of samples, and of
    connections whose place was not served again. Where a schedule ended the fault, its limits say what is too long."""
    still = [s for s in trial.series if _touches(trial, s.touched) and s.fault.open]
    places = _places(trial)
    if not still and not places.open:
        return
    found = worst([*(_range(trial, s, "touched", "fault") for s in still), Range(0, None, places.surely)])
    most = max(still, key=lambda s: (s.fault.figure_ns, s.name), default=None)
    yield _judged(
        trial,
        _Asked("ended", "touched", "fault", budget, 0),
        figure=most.fault.figure_ns if most else 0,
        found=UNKNOWN if trial.cut_short else found,
        unit="ns",
        samples=NEEDED,
        noun="samples",
        by=most.name if most else f"{places.number} places whose connection broke were not served again",
        censored=True,
        missing=_CUT_SHORT if trial.cut_short else "",
        step_ns=most.step_ns if most else 0,
        doubts=_about(trial, {*((s.kind, s.vantage) for s in still), *places.doubted}, "touched", "fault"),
    )


def _return(trial: Trial, judging: Judging) -> Row:
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
        found = Range(low, None if hides else back_ns + strong, surely=low > 0)
    return _judged(
        trial,
        _Asked("return", "touched", "after", judging.name, limit, given is not None),
        figure=back_ns or 0,
        found=UNKNOWN if makes else found,
        unit="ns",
        samples=NEEDED,
        noun="samples",
        by=heal.refused or heal.missing,
        censored=never,
        doubts=doubts,
    )


# -- judging -------------------------------------------------------------------------------------------------------


def _judged(
    trial: Trial,
    asked: _Asked,
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
    all it gives no row, and a few more must not be worse. `missing`: what keeps the figure from being known, besides doubts and samples."""
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


def _short(trial: Trial, asked: _Asked, samples: int, noun: str, needed: int) -> str:
    """Which samples were missing; empty where there were enough."""
    where = f"crossed {trial.element}" if asked.where == "touched" and trial.carries else "were there"
    return f"{samples} {noun} {where}, {needed} are needed" if samples < needed else ""


__all__ = ["NEEDED", "NOTHING", "Key", "Row", "Unit", "Where", "rows_of"]
