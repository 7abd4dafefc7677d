"""Each limit of a contract beside what a trial measured: a row a limit, with its range and its samples. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.verdict.connections import connections
from scenarios.verdict.ends import ended, recover, returned
from scenarios.verdict.facts import Trial
from scenarios.verdict.load import latency, load
from scenarios.verdict.row import KINDS, NEEDED, PARTS, Asked, Key, Row, Unit, Where
from scenarios.verdict.times import time_row, times
from topologies.budget import Budget, Judging, effective_limits


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
    for part in PARTS:
        yield from times(trial, judging.name, limits, part)
        yield from connections(trial, judging.name, limits.broken, "touched", part, given=True)
        yield from latency(trial, judging.name, limits.latency_ns, "touched", part)
        yield from load(trial, judging.name, limits.load_fail_percent, "touched", part)
    yield from recover(trial, judging.name, limits.recover_ns)
    if judging.budget.judges_touched:
        yield from ended(trial, judging.name)
    yield returned(trial, judging)
    if trial.carries:
        yield from _elsewhere(trial, judging)


def _elsewhere(trial: Trial, judging: Judging) -> Iterator[Row]:
    given, untouched = judging.budget.elsewhere or Budget(), judging.budget.untouched
    limits: tuple[tuple[Key, int | None, bool], ...] = (
        ("black_hole", untouched.black_hole_ns, given.black_hole_ns is not None),
        ("new_fail", untouched.new_fail_ns, given.new_fail_ns is not None),
        ("request_fail", untouched.request_fail_ns, given.request_fail_ns is not None),
        ("resolve_fail", untouched.resolve_fail_ns, given.resolve_fail_ns is not None),
    )
    for part in PARTS:
        for key, limit, is_given in limits:
            chosen = [s for s in trial.series if s.kind == KINDS[key] and not s.touched]
            if any(s.part(part).samples for s in chosen):
                yield time_row(trial, Asked(key, "elsewhere", part, judging.name, limit, is_given), chosen)
        yield from connections(trial, judging.name, untouched.broken, "elsewhere", part, given=given.broken is not None)
        yield from latency(trial, judging.name, untouched.latency_ns, "elsewhere", part)
        yield from load(trial, judging.name, untouched.load_fail_percent, "elsewhere", part)


__all__ = ["NEEDED", "Key", "Row", "Unit", "Where", "rows_of"]
