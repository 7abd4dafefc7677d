"""How a row is said: its figure with no digit that its accuracy does not carry, and its limit. Pure."""

from __future__ import annotations

from probes.episodes import milliseconds
from scenarios.verdict.rows import Row
from topologies.budget import BrokenBudget


def told(row: Row) -> str:
    """`310 ms`, `≥ 6,950 ms`, `4 of 100`, `0.3 %`."""
    if row.unit == "connections":
        own = f", {row.own} of them ended at the failed element" if row.own else ""
        return f"{row.figure:.0f} of {row.among}{own}"
    if row.unit == "percent":
        return f"{row.figure:.2g} %"
    least = "≥ " if row.censored else ""
    if row.censored and row.key == "return":
        return "not before the end"
    if row.key == "ended" and not row.figure:
        return "not over"
    return f"{least}{_ms(row.figure, row.step_ns)} ms"


def limit_of(row: Row) -> str:
    """`300 ms`, `0`, `0.1%`, `own`; `not judged` without one. A limit that no row names is over with the loss."""
    if row.key == "ended":
        return "an end of the loss"
    if row.limit is None:
        return "not judged"
    if isinstance(row.limit, BrokenBudget):
        return str(row.limit)
    return f"{row.limit:g}%" if row.unit == "percent" else f"{row.limit / 1e6:g} ms"


def _ms(value_ns: float, step_ns: int) -> str:
    return f"{milliseconds(int(value_ns), step_ns):g}" if step_ns > 0 else f"{value_ns / 1e6:.0f}"
