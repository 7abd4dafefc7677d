"""How a verdict, a duration and a whole run are said, the same in every report.

It turns figures into text; it must not know HTML, XML or Markdown, and decides nothing itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from reports.evidence.calibration import AGGREGATE_SHARE, BIAS_SHARE, MEAN_SHARE, Calibrated
from reports.evidence.reader import Evidence, ScenarioEvidence
from reports.evidence.schema import Connection, Impaired, Judgement, Run, Span, VantageFigures, Verdict, VerdictWord

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
    where, _, key = what.rpartition(".")
    return _BUDGETS.get(key, key.replace("_", " ")) + {"": "", "reversion": " by the heal"}.get(where, f" {where}")


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
    """`410 ± 10 ms`; `≥ 4,200 ms, never ended` when it was censored; a dash when nothing was touched."""
    longest = milliseconds(verdict.black_hole_ms.max, verdict.interval_ms, "ms")
    if longest == NOTHING:
        return NOTHING
    if verdict.black_hole_ms.censored:
        return f"≥ {longest}, never ended"
    return f"{longest.removesuffix(' ms')} ± {plain(verdict.interval_ms)} ms"


def span(one: Span, interval_ms: float) -> str:
    """`230 ms (210 to 240)`: what was measured, and between which times the truth lies; at least, where it never ended."""
    told = milliseconds(one.ms, interval_ms, "ms")
    if one.high_ms is None:
        return f"≥ {told}, never ended"
    # outwards, so that no rounding makes the interval narrower than it is
    step = 10.0 ** math.floor(math.log10(interval_ms))
    low, high = math.floor(round(one.low_ms / step, 6)) * step, math.ceil(round(one.high_ms / step, 6)) * step
    return f"{told} ({plain(low)} to {plain(high)})"


def impaired(one: Impaired | None) -> str:
    """`3 late, 2 duplicate`: only what there was; empty without any."""
    if one is None:
        return ""
    kinds = (("late", one.late), ("corrupt", one.corrupt), ("duplicate", one.duplicate), ("reordered", one.reordered))
    return ", ".join(f"{number:,} {kind}" for kind, number in kinds if number)


def none_of(among: int) -> str:
    """None of `among` was hit: the share that may be all the same, with 95 % confidence (exact binomial)."""
    return f"{100 * (1 - 0.05 ** (1 / among)):.2g} %"


def to_accuracy(value_ms: float, acc_ms: float) -> str:
    """A time known within `acc_ms`, with no digit below the decade of that accuracy, and never below 0.1 ms."""
    step = 10.0 ** max(-1, math.floor(math.log10(acc_ms))) if acc_ms > 0 else 0.1
    return milliseconds(value_ms, step)


def response(value_ms: float | None, unit: str = "") -> str:
    """A response time: two significant digits below 10 ms, whole milliseconds above."""
    if value_ms is None:
        return NOTHING
    return (f"{value_ms:,.0f}" if value_ms >= 10 else plain(round(value_ms, 1))) + unit


def tcp_interval_ms(one: ScenarioEvidence) -> float:
    """How exactly a failure of new connections is known: the interval of the SYNs, else that of all probes, in ms."""
    steps = [block.interval_ns / 1e6 for block in one.flows if block.transport == "tcp"]
    return max(steps, default=one.verdict.interval_ms if one.verdict else 0.0)


def new_fail(verdict: Verdict, step_ms: float) -> str:
    """For how long new connections failed: `230 ± 10 ms`; at least, where they never worked again. `step_ms` is
    `tcp_interval_ms`."""
    if verdict.new_fail_ms is None:
        return NOTHING
    longest = milliseconds(verdict.new_fail_ms, step_ms, "ms")
    if any(attempts.censored for attempts in verdict.new_connections):
        return f"≥ {longest}, never ended"
    return f"{longest.removesuffix(' ms')} ± {plain(step_ms)} ms"


def stages(verdict: Verdict) -> str:
    """`detection 151 ms, withdrawal 4 ms, fib 48 ms, first packet 3 ms`; empty where none was seen."""
    return ", ".join(
        f"{one.name.replace('-', ' ')} {to_accuracy((one.end_ns - one.start_ns) / 1e6, one.acc_ns / 1e6)} ms"
        for one in verdict.stages
    )


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


def budget_ms(verdict: Verdict, what: str) -> float | None:
    """The limit of a budget that is a duration, in ms; None where there is none."""
    judged = budget(verdict, what)
    limit = _DURATION.match(judged.budget) if judged else None
    return float(limit[1]) * (1000 if limit[2] == "s" else 1) if limit else None


def is_broken(connection: Connection) -> bool:
    """Closed as the protocol provides is not broken."""
    if connection.broken_by == "closed":
        return False
    return connection.broken_by is not None or connection.broken_ns is not None


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
    allowed = budget_ms(verdict, judged.what)
    if allowed is None:
        return BudgetCell(judged.budget, None)
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
    if evidence.unknown_kinds:
        found.append(f"The evidence holds more than this nospof knows: {evidence.unknown_kinds}.")
    if not evidence.records:
        found.append("The evidence holds no record: the run ended before it wrote one.")
        return found
    if evidence.end is None:
        found.append("The run has no end: it was interrupted, so as a whole it cannot pass.")
    elif evidence.verdict not in {word_of(one) for one in evidence.scenarios} and evidence.scenarios:
        found.append(f"No scenario says so, but the run as a whole ended as {evidence.verdict}.")
    return found


def calibration(run: Run | None) -> list[str]:
    """When the instrument was last held against known black holes on this host, and how far off it was; a sentence each."""
    kept = run.calibration if run else None
    if kept is None:
        return ["◌ Never calibrated on this host: ./nospof bench probe --calibrate holds it against known black holes."]
    return [f"Calibrated {kept.calibrated_utc[:10]} on this host.", *(_calibrated(one) for one in kept.intervals)]


def _calibrated(one: Calibrated) -> str:
    wrong = [
        *(["more than an interval beyond its lateness"] if one.beyond_lateness_ms > one.interval_ms else []),
        *([f"{count(one.unexplained, 'probe')} lost otherwise"] if one.unexplained else []),
        *(
            f"{what} beyond {share:g} of an interval"
            for what, error_ms, share in (
                ("the mean", one.mean_ms, MEAN_SHARE),
                ("the bias", abs(one.bias_ms), BIAS_SHARE),
                ("all flows together", one.aggregate_ms, AGGREGATE_SHARE),
            )
            if error_ms > share * one.interval_ms
        ),
    ]
    method = "their departures" if one.by == "departures" else "counting"
    return (
        f"{'✖' if wrong else '✔'} At a probe every {plain(one.interval_ms)} ms, {count(len(one.holes), 'known black hole')}: "
        f"error of a flow at most {plain(one.worst_ms)} ms, mean {plain(one.mean_ms)} ms; "
        f"of all {one.flows} flows together, by {method}, at most {plain(one.aggregate_ms)} ms"
        f"{''.join(f'; {what}' for what in wrong)}."
    )


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
