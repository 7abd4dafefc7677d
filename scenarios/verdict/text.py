"""How a row is said: its figure with no digit that its accuracy does not carry, and its limit. Pure."""

from __future__ import annotations

import math

from probes.episodes import milliseconds
from scenarios.verdict.rows import Row
from topologies.budget import BrokenBudget


def told(row: Row) -> str:
    """`310 ms`, `≥ 6,950 ms`, `4 of 100 idle`, `0.3 %`."""
    if row.unit == "connections":
        use = f" {row.use}" if row.use else ""
        own = f", {row.own} of them ended at the failed element" if row.own else ""
        return f"{row.figure:.0f} of {row.among}{use}{own}"
    if row.unit == "percent":
        return f"{_number(round(row.figure, _digits(100 / row.samples) if row.samples else 0))} %"
    if row.censored and row.key == "return":
        return "not before the end"
    if row.key == "steady":
        return "no answer"
    if row.key == "ended" and not row.figure:
        return "not over"
    least = "≥ " if row.censored else ""
    return f"{least}{_ms(row.figure, row.step_ns)} ms"


def limit_of(row: Row) -> str:
    """`300 ms`, `0`, `0.1%`, `own`; `not judged` without one. A limit that no row names is over with the loss."""
    if row.key == "ended":
        return "an end of the loss"
    if row.key == "steady":
        return "an answer"
    if row.limit is None:
        return "not judged"
    if isinstance(row.limit, BrokenBudget):
        return str(row.limit)
    return f"{_number(row.limit)}%" if row.unit == "percent" else f"{_number(row.limit / 1e6)} ms"


def _ms(value_ns: float, step_ns: int) -> str:
    return _number(milliseconds(int(value_ns), step_ns) if step_ns > 0 else round(value_ns / 1e6))


def _digits(step: float) -> int:
    """How many digits after the point a figure has that comes in such steps."""
    return max(0, -math.floor(math.log10(step)))


def _number(value: float) -> str:
    """`6,950`, `0.3`: all its digits, never a power of ten."""
    return f"{value:,.12g}"
