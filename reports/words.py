"""How a verdict, a duration and a whole run are said, the same in every report.

It turns figures into text; it must not know HTML, XML or Markdown, and decides nothing itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reports.evidence.reader import Evidence, ScenarioEvidence
from reports.evidence.schema import Judgement, VantageFigures, Verdict, VerdictWord

SHAPES: dict[VerdictWord, str] = {"pass": "✔", "fail": "✖", "unknown": "◌"}
NOTHING = "–"
INTERRUPTED = "the run ended before this scenario was judged"

_BUDGETS = {
    "black_hole": "black hole",
    "broken": "broken connections",
    "new_fail": "new connections failing",
    "recover": "recovery",
}
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|%)(?!\w))|(?<=[±≥<]) (?=\d)")
_DURATION = re.compile(r"^\D*?(\d+(?:\.\d+)?)\s*(ms|s)\b")


def spoken(verdict: VerdictWord) -> str:
    """Shape and word, never colour alone: `✔ PASS`."""
    return f"{SHAPES[verdict]} {verdict.upper()}"


def tied(text: str) -> str:
    """A number stays on the line of its unit."""
    return _UNIT.sub("\u00a0", text)


def budget_name(what: str) -> str:
    """The contract's key as it is said: `elsewhere.black_hole` is `black hole elsewhere`."""
    key = what.removeprefix("elsewhere.")
    return _BUDGETS.get(key, key.replace("_", " ")) + (" elsewhere" if key != what else "")


def plain(value: float) -> str:
    """`10`, `2.5`: no exponent, no trailing zero, thousands grouped."""
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def milliseconds(value: float | None, interval_ms: float, unit: str = "") -> str:
    """A time measured by probes of this interval, snapped to it: no digit that the accuracy does not carry."""
    if value is None:
        return NOTHING
    snapped = round(value / interval_ms) * interval_ms if interval_ms > 0 else value
    return plain(snapped) + (f" {unit}" if unit else "")


def black_hole(verdict: Verdict) -> str:
    """`410 ms ± 10 ms`; `≥ 4,200 ms, never ended` when it was censored; a dash when nothing was touched."""
    longest = milliseconds(verdict.black_hole_ms.max, verdict.interval_ms, "ms")
    if verdict.black_hole_ms.censored:
        return f"≥ {longest}, never ended"
    return longest if longest == NOTHING else f"{longest} ± {plain(verdict.interval_ms)} ms"


def since(t_ns: int, event_ns: int | None, known_to_ns: int = 1_000_000) -> str:
    """An instant as seconds after the fault, with the digits that its accuracy carries: at most milliseconds."""
    if event_ns is None:
        return NOTHING
    digits = next((n for n in (3, 2, 1) if known_to_ns < 10 ** (10 - n)), 0)
    return f"{(t_ns - event_ns) / 1e9:+,.{digits}f} s".replace("-", "−")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def budget(verdict: Verdict, what: str) -> Judgement | None:
    return next((one for one in verdict.judged if one.what == what), None)


def broken_budgets(verdict: Verdict) -> list[Judgement]:
    return [one for one in verdict.judged if one.ok is False]


def cause(verdict: Verdict) -> str:
    """Why it did not pass, in one line: the broken budget and the element, or the instrument's fault; else empty."""
    if verdict.verdict == "pass":
        return ""
    if verdict.verdict == "unknown":
        return f"Not judged: {verdict.reason}"
    broken = broken_budgets(verdict)
    if not broken:
        return f"{verdict.reason} (element {verdict.element})"
    said = "; ".join(f"{budget_name(one.what)} {one.measured}, budget {one.budget}" for one in broken)
    return f"Broken budget at {verdict.element}: {said}"


@dataclass(frozen=True)
class BudgetCell:
    """What a vantage was allowed; `ok` is None where nobody judged it."""

    text: str
    ok: bool | None


def vantage_budget(verdict: Verdict, figures: VantageFigures) -> BudgetCell:
    """The black-hole budget as it applies to one vantage: its own if it was touched, else the one for elsewhere.

    Where the budget as a whole is broken, only the vantages above it are marked as having broken it.
    """
    judged = budget(verdict, "black_hole" if figures.touched else "elsewhere.black_hole")
    if judged is None:
        return BudgetCell(NOTHING, None)
    if judged.ok is not False or verdict.verdict == "unknown":
        return BudgetCell(judged.budget, judged.ok if verdict.verdict != "unknown" else None)
    limit = _DURATION.match(judged.budget)
    if limit is None:
        return BudgetCell(judged.budget, None)
    allowed = float(limit[1]) * (1000 if limit[2] == "s" else 1)
    longest = figures.max_ms if figures.touched else figures.lost * verdict.interval_ms
    return BudgetCell(judged.budget, figures.censored == 0 and (longest or 0) <= allowed)


def headline(evidence: Evidence) -> str:
    """The whole run in one sentence that a director understands."""
    scenarios = evidence.scenarios
    if not scenarios:
        return "Nothing was judged: the run left no scenario behind."
    words = [word_of(one) for one in scenarios]
    failed = [one for one in scenarios if word_of(one) == "fail"]
    unknown = [one for one in scenarios if word_of(one) == "unknown"]
    parts = [f"{words.count('pass')} of {len(scenarios)} scenarios passed"]
    if failed:
        parts.append(f"{len(failed)} failed ({'; '.join(_named_failure(one) for one in failed)})")
    if unknown:
        named = ", ".join(one.name for one in unknown) if len(unknown) > 1 else _named_doubt(unknown[0])
        parts.append(f"{len(unknown)} could not be judged ({named})")
    if len(parts) == 1 and evidence.verdict == "pass":
        return f"{_all_of(len(scenarios))} passed: no client lost more than its budget allows."
    return "; ".join(parts) + "."


def caveats(evidence: Evidence) -> list[str]:
    """What a reader must know about the file itself."""
    found: list[str] = []
    if evidence.cut:
        found.append(f"The evidence is incomplete: {evidence.cut}.")
    if evidence.end is None:
        found.append("The run has no end: it was interrupted, so as a whole it cannot pass.")
    elif evidence.verdict not in {word_of(one) for one in evidence.scenarios} and evidence.scenarios:
        found.append(f"No scenario says so, but the run as a whole ended as {evidence.verdict}.")
    return found


def word_of(one: ScenarioEvidence) -> VerdictWord:
    return one.verdict.verdict if one.verdict else "unknown"


def _all_of(scenarios: int) -> str:
    return "The only scenario" if scenarios == 1 else f"All {scenarios} scenarios"


def _named_doubt(one: ScenarioEvidence) -> str:
    return f"{one.name}: {one.verdict.reason if one.verdict else INTERRUPTED}"


def _named_failure(one: ScenarioEvidence) -> str:
    verdict = one.verdict
    broken = broken_budgets(verdict) if verdict else []
    if verdict is None or not broken:
        return one.name
    first = broken[0]
    return f"{one.name}: {budget_name(first.what)} {first.measured} at {verdict.element}, budget {first.budget}"
