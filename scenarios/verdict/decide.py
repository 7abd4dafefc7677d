"""From a finished trial to its verdict, by the first rule that applies. Pure.

`unknown` is never a pass, and never hides a broken limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.evidence.schema import VerdictWord
from scenarios.verdict.facts import Trial
from scenarios.verdict.rows import Row, rows_of
from scenarios.verdict.text import limit_of, told


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict and why.

    `counts`: whether it counts for the exit code; what is not promised does not. `disturbed`: it is unknown for nothing but too
    little CPU, so that another try may tell more. `stood_by`: the element carried nothing, and nothing was lost.
    """

    verdict: VerdictWord
    reason: str
    rows: tuple[Row, ...]
    counts: bool = True
    disturbed: bool = False
    stood_by: bool = False


MOST_NAMED = 4
"""Of many rows that one doubt is about, so many are named."""


@dataclass(frozen=True, slots=True)
class _Doubtful:
    """One reason for `unknown`; `cpu`: a host with CPU to spare may not have it."""

    sentence: str
    cpu: bool = False


def judge(trial: Trial) -> Judged:
    """The verdict of a trial."""
    found = _first(trial, rows_of(trial))
    return found if trial.element in found.reason else replace(found, reason=f"{trial.element}: {found.reason}")


def _first(trial: Trial, rows: tuple[Row, ...]) -> Judged:
    """The first rule that applies."""
    act = trial.act
    if trial.judging and all(j.budget.not_promised for j in trial.judging):
        names = ", ".join(f"`{j.name}`" for j in trial.judging)
        return Judged("unknown", f"Not promised ({names}): measured, not judged{_figures(rows)}.", rows, counts=False)
    starved = [d for d in trial.doubts if d.cpu and d.makes and not d.after_heal]
    late = bool(act.late and starved)
    if act.refused and not late:
        return Judged("fail", f"{trial.element} {act.refused}.", rows)
    if act.not_bitten:
        said = f"Our fault is not proven to have taken effect: {act.not_bitten}{_figures(rows)}."
        cpu = bool(trial.doubts) and all(d.cpu for d in trial.doubts)
        return Judged("unknown", " ".join([said, *(d.sentence for d in trial.doubts)]), rows, disturbed=cpu)
    failed = [r for r in rows if r.state == "fail"]
    if failed:
        return Judged("fail", _broke(trial, failed), rows)
    if act.action and act.did_nothing and trial.carries:
        return Judged(
            "fail", f"The action on {trial.element} reported success and did nothing: {act.did_nothing}.", rows
        )
    doubtful = [*_doubtful(trial, rows), *([_Doubtful(f"{trial.element} {act.refused}.", cpu=True)] if late else [])]
    if doubtful:
        said = " ".join(dict.fromkeys([*(d.sentence for d in doubtful), *_notes(trial, rows)]))
        return Judged("unknown", said, rows, disturbed=all(d.cpu for d in doubtful))
    return Judged("pass", _passed(trial, rows), rows, stood_by=not trial.carries)


def _figures(rows: Sequence[Row]) -> str:
    """What was lost all the same, where nothing is judged by it."""
    lost = [r for r in rows if r.state == "fail" or (r.figure and r.key != "return")]
    said = dict.fromkeys(
        f"{r.name} was {told(r)}{f', limit {limit_of(r)}' if r.limit is not None else ''}" for r in lost
    )
    return f" ({'; '.join(said)})" if said else ""


def _doubtful(trial: Trial, rows: Sequence[Row]) -> list[_Doubtful]:
    """Why a trial that broke nothing does not pass either."""
    act, found = trial.act, []
    if act.action and not trial.carries:
        found.append(_Doubtful(f"{trial.element} carried nothing, so that its action shows nothing."))
    if act.let_go:
        found.append(_Doubtful(f"The fault did not hold until its heal: {act.let_go}."))
    if trial.silent:
        found.append(_Doubtful(f"Without an answer: {'; '.join(trial.silent)}."))
    found += [_Doubtful(d.sentence, d.cpu) for d in trial.doubts if d.no_pass]
    found += _unknown([r for r in rows if r.state == "unknown" and not (r.part == "after" and trial.heal.ours_left)])
    found += [_Doubtful(sentence) for sentence in _left(trial)]
    if not any(r.given and r.state in ("ok", "unknown") for r in rows):
        found.append(_Doubtful(_nothing_judged(trial)))
    return found


def _unknown(rows: Sequence[Row]) -> list[_Doubtful]:
    """Rows of which nothing can be said, those for one reason together."""
    by_why: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        by_why.setdefault((row.why, row.cpu), []).append(row)
    found = []
    for (why, cpu), some in by_why.items():
        told_of = [f"`{r.name}` is {told(r)}, limit {limit_of(r)}" for r in some[:MOST_NAMED]]
        more = len(some) - len(told_of)
        rest = f"; and {more} more" if more > 0 else ""
        found.append(_Doubtful(f"{'; '.join(told_of)}{rest}: unknown, since {_lower(why)}", cpu))
    return found


def _nothing_judged(trial: Trial) -> str:
    if not any(j.name for j in trial.judging):
        return f"The contract has no budget for {trial.fault}: measured, not judged."
    return "No limit of the contract was judged: measured, not judged."


def _lower(sentence: str) -> str:
    named = sentence[1:2].isupper() or sentence[1:2].isdigit()  # L4, SYNs
    text = sentence if named else sentence[:1].lower() + sentence[1:]
    return text if text.endswith(".") else f"{text}."


def _broke(trial: Trial, failed: Sequence[Row]) -> str:
    """Names each broken limit, its figure, and whose it was."""
    by_budget: dict[str, list[Row]] = {}
    for row in failed:
        by_budget.setdefault(row.budget, []).append(row)
    said = []
    for budget, rows in by_budget.items():
        figures = "; ".join(f"{r.name} was {told(r)}, limit {limit_of(r)}{f' ({r.by})' if r.by else ''}" for r in rows)
        whose = f"the budget `{budget}`" if budget else "what nobody allowed"
        said.append(f"{trial.element} broke {whose}: {figures}.")
    return " ".join([*said, *_left(trial), *_notes(trial, failed)])


def _left(trial: Trial) -> list[str]:
    return [f"The heal left something of ours: {trial.heal.ours_left}."] if trial.heal.ours_left else []


def _passed(trial: Trial, rows: Sequence[Row]) -> str:
    names = ", ".join(f"`{j.name}`" for j in trial.judging if j.name)
    kept = f"Every figure is within the budget {names}."
    if not trial.carries:
        flows = sum(1 for s in trial.series if s.kind == "probe")
        requests = sum(s.fault.samples for s in trial.series if s.kind in ("request", "syn"))
        kept = f"{trial.element} stood by: none of {flows} flows and {requests} requests crossed it. {kept}"
    short = dict.fromkeys(d.sentence for d in trial.doubts if d.effect == "makes")
    all_the_same = ["That can only add loss, and every limit was kept all the same."] if short else []
    return " ".join([kept, *short, *all_the_same, *_notes(trial, rows)])


def _notes(trial: Trial, rows: Sequence[Row]) -> list[str]:
    """What a reader has to know of how it was judged: by whose limits, and for how long."""
    kin = [f"`{trial.fault}` has no budget and takes that of `{j.name}`." for j in trial.judging if j.kin]
    stood_in = sorted({r.fallback for r in rows if r.fallback and r.state is not None})
    fallbacks = [f"`request_fail` has no limit and takes that of `{key}`." for key in stood_in]
    return [*kin, *fallbacks, *([trial.watched] if trial.watched else [])]
