"""What is said of a whole run and of each trial in it, the same in every report: the headline, causes, and how far it can be trusted.

It must not know HTML, XML or Markdown, and decides nothing itself.
"""

from __future__ import annotations

from reports import rows
from reports.evidence.calibration import AGGREGATE_SHARE, BIAS_SHARE, MEAN_SHARE, Calibrated
from reports.evidence.reader import Evidence, ScenarioEvidence
from reports.evidence.schema import Run, Verdict, VerdictWord
from reports.words import count, plain

INTERRUPTED = "the run ended before this scenario was judged"
STOOD_BY = "stood by"
NOT_PROMISED = "not promised"


def tags(verdict: Verdict) -> list[str]:
    """What a verdict's word alone does not say."""
    found = [STOOD_BY] if verdict.verdict == "pass" and not verdict.carried else []
    return found if verdict.counts else [*found, NOT_PROMISED]


def cause(verdict: Verdict) -> str:
    """Why it did not pass, in one line: the broken limits, the element and whose figures they are, or why it is unknown; else empty,
    but for a pass that shows less than it seems to."""
    if verdict.verdict == "pass":
        return f"Stood by: no traffic crossed {verdict.element} before the fault." if STOOD_BY in tags(verdict) else ""
    if not verdict.counts:
        return f"Not promised, so it counts for no exit code: {verdict.reason}"
    if verdict.verdict == "unknown":
        return f"Unknown: {verdict.reason}"
    broken = rows.broken(verdict)
    if not broken:
        return f"{verdict.reason} (element {verdict.element})"
    return f"Broken budget at {verdict.element}: {'; '.join(map(rows.said, broken))}"


def headline(evidence: Evidence) -> str:
    """The whole run in one sentence that a director understands."""
    scenarios = evidence.scenarios
    if not scenarios:
        return "Nothing was judged: the run left no scenario behind."
    words = [word_of(one) for one in scenarios]
    failed = [one for one in scenarios if word_of(one) == "fail"]
    unknown = [one for one in scenarios if word_of(one) == "unknown" and counts(one)]
    unpromised = [one for one in scenarios if not counts(one)]
    parts = [f"{words.count('pass')} of {len(scenarios)} scenarios passed"]
    if failed:
        parts.append(f"{len(failed)} failed ({'; '.join(_named_failure(one) for one in failed)})")
    if unknown:
        named = ", ".join(one.name for one in unknown) if len(unknown) > 1 else _named_doubt(unknown[0])
        parts.append(f"{len(unknown)} could not be judged ({named})")
    if unpromised:
        parts.append(f"{len(unpromised)} not promised ({', '.join(one.name for one in unpromised)})")
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


def counts(one: ScenarioEvidence) -> bool:
    """Whether it counts for the run's verdict."""
    return one.verdict is None or one.verdict.counts


def word_of(one: ScenarioEvidence) -> VerdictWord:
    return one.verdict.verdict if one.verdict else "unknown"


def _all_of(scenarios: int) -> str:
    return "The only scenario" if scenarios == 1 else f"All {scenarios} scenarios"


def _named_doubt(one: ScenarioEvidence) -> str:
    return f"{one.name}: {one.verdict.reason if one.verdict else INTERRUPTED}"


def _named_failure(one: ScenarioEvidence) -> str:
    verdict = one.verdict
    broken = rows.broken(verdict) if verdict else []
    if verdict is None or not broken:
        return one.name
    first = broken[0]
    return f"{one.name}: {rows.name(first)} {first.measured} at {verdict.element}, budget {first.budget}"
