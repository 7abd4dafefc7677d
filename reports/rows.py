"""The rows of a verdict as every report tells them: what each limit was held against, and what came of it.

It reads typed judgements and judges nothing itself; what is older than types is shown in its own words, and not computed with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reports.evidence.schema import Judgement, VantageFigures, Verdict
from reports.words import NOTHING, SHAPES, plain

State = Literal["ok", "fail", "unknown"]
Where = Literal["touched", "elsewhere"]

_NAMES = {
    "black_hole": "black hole",
    "new_fail": "new connections failing",
    "request_fail": "new requests failing",
    "resolve_fail": "names not resolved",
    "latency": "response time (p99)",
    "latency_steady": "response time at rest (p99)",
    "broken": "broken connections",
    "load_fail": "load that failed",
    "recover": "recovery",
    "return": "return to service",
    "ended": "a loss that has not ended",
}
_RANK: dict[State | None, int] = {None: 0, "ok": 1, "unknown": 2, "fail": 3}
MARKS: dict[State, str] = {"ok": SHAPES["pass"], "fail": SHAPES["fail"], "unknown": SHAPES["unknown"]}
NOT_HELD = "it is over its limit, and not held against it: the trial as a whole is unknown"


@dataclass(frozen=True)
class Cell:
    """A limit as it stands beside a figure; `state` is None where nothing was judged."""

    text: str
    state: State | None

    @property
    def mark(self) -> str:
        return f"{MARKS[self.state]} " if self.state else ""


NOT_JUDGED = Cell("not judged", None)


def state_of(verdict: Verdict, row: Judgement) -> State | None:
    """What came of a row; None: not judged. An unknown trial holds nothing against anybody."""
    found = row.state
    if not row.key:
        found = None if row.ok is None or verdict.verdict == "unknown" else "ok" if row.ok else "fail"
    return "unknown" if found == "fail" and verdict.verdict == "unknown" else found


def in_state(verdict: Verdict, state: State | None) -> list[Judgement]:
    return [row for row in verdict.judged if state_of(verdict, row) == state]


def broken(verdict: Verdict) -> list[Judgement]:
    """The limits that were broken, in the order of the verdict."""
    return in_state(verdict, "fail")


def calm(verdict: Verdict, row: Judgement) -> bool:
    """Whether a row says that nothing was lost where nothing may be: a report need not show each of them."""
    return state_of(verdict, row) == "ok" and not row.figure and bool(row.key)


def key_of(row: Judgement) -> tuple[str, Where, bool]:
    """The contract's key, where it holds, and whether it is of the time after the heal."""
    if row.key:
        return row.key, row.where, row.part == "after"
    *where, key = row.what.split(".")
    return key, "elsewhere" if "elsewhere" in where else "touched", "reversion" in where


def name(row: Judgement) -> str:
    """`black hole`, `broken connections elsewhere, by the heal`."""
    key, where, after = key_of(row)
    said = _NAMES.get(key, key.replace("_", " "))
    if row.key == "broken" and after:
        return f"{said}{' elsewhere' if where == 'elsewhere' else ''}, the heal included"
    return f"{said}{' elsewhere' if where == 'elsewhere' else ''}{' by the heal' if after and key != 'return' else ''}"


def range_of(row: Judgement) -> str:
    """`172 to 228 ms`, `at least 172 ms`: between what the true figure lies, rounded outwards; empty where that is one number."""
    if row.low is None or row.low == row.high:
        return ""
    step = {"ms": 1.0, "connections": 1.0, "percent": 0.01}[row.unit]
    low = plain(math.floor(round(row.low / step, 6)) * step)
    unit = {"ms": " ms", "connections": "", "percent": " %"}[row.unit]
    if row.high is None:
        return f"at least {low}{unit}" if row.low else "nobody knows how much"
    return f"{low} to {plain(math.ceil(round(row.high / step, 6)) * step)}{unit}"


def limit_of(row: Judgement) -> str:
    """`300 ms`, `own`; with whose it is where it is not the contract's own. Empty where there is none."""
    if row.budget in ("", "not judged"):
        return ""
    if not row.key or row.given or row.key == "ended":
        return row.budget
    return f"{row.budget}, {f'the limit of {row.limit_from}' if row.limit_from else 'by default'}"


def why(verdict: Verdict, row: Judgement) -> str:
    """Why a row is unknown; empty for any other."""
    if state_of(verdict, row) != "unknown":
        return ""
    return row.why if row.state == "unknown" else NOT_HELD


def said(row: Judgement) -> str:
    """`black hole 410 ms (udp … from eu-client), budget 300 ms`: a broken limit, its figure, and whose that is."""
    whose = f" ({row.by})" if row.by else ""
    return f"{name(row)} {row.measured}{whose}, budget {row.budget}"


def doubted(verdict: Verdict, row: Judgement) -> str:
    """`new connections failing 230 ms (190 to 270 ms), budget 250 ms: unknown, …`"""
    between = f" ({range_of(row)})" if range_of(row) else ""
    because = why(verdict, row).rstrip(".")
    limit = f", budget {row.budget}" if limit_of(row) else ""
    return f"{name(row)} {row.measured}{between}{limit}: unknown{f', {because}' if because else ''}"


def of(verdict: Verdict, key: str, where: Where = "touched") -> list[Judgement]:
    """The rows of one key from the event to the heal: of busy, idle and streaming connections each, and of both ends of a link."""
    return [row for row in verdict.judged if key_of(row) == (key, where, False)]


def cell(verdict: Verdict, key: str, where: Where = "touched") -> Cell | None:
    """All of them as one: the worst of their states, and each limit once. None without any."""
    found = of(verdict, key, where)
    if not found:
        return None
    limits = dict.fromkeys(row.budget for row in found if limit_of(row))
    worst = max((state_of(verdict, row) for row in found), key=_RANK.__getitem__)
    return Cell(" · ".join(limits), worst) if limits else NOT_JUDGED


def measured(verdict: Verdict, key: str) -> str:
    """The figure of the worst row of a key, in the verdict's words."""
    found = max(of(verdict, key), key=lambda row: (_RANK[state_of(verdict, row)], row.figure or 0.0), default=None)
    return found.measured if found else NOTHING


def limit_ms(verdict: Verdict, key: str, where: Where = "touched") -> float | None:
    """The tightest limit of a key that is a time, in ms; None where there is none, or nobody wrote it down as a number."""
    return min((limit for row in of(verdict, key, where) if (limit := _limit_ms(row)) is not None), default=None)


def _limit_ms(row: Judgement) -> float | None:
    return row.limit if row.limit_unit == "ms" else None


def of_vantage(verdict: Verdict, figures: VantageFigures) -> Cell:
    """The limit of the black hole as it applies to one vantage: its own if it was touched, else the one for elsewhere.

    Where it is broken, only the vantages above it are marked as having broken it; where they cannot be told apart, none.
    """
    where: Where = "touched" if figures.touched else "elsewhere"
    whole = cell(verdict, "black_hole", where)
    if whole is None or whole == NOT_JUDGED:
        return Cell(NOTHING, None)
    allowed = limit_ms(verdict, "black_hole", where)
    if whole.state != "fail":
        return whole
    if allowed is None:
        return Cell(whole.text, None)
    longest = figures.max_ms if figures.touched else figures.lost * verdict.interval_ms
    return Cell(whole.text, "fail" if figures.censored or (longest or 0) > allowed else "ok")
