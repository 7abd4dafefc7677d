"""Budgets of a contract: durations, shares and what a fault class may cost clients.

Must not know verdicts: what was measured is held against a budget elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from topologies.document import Value
from topologies.problems import closest, one_of

FAULTS = ("crash-process", "cut-link", "drain", "freeze-node", "freeze-process", "kill-node", "kill-region", "withdraw")
_NO_ROLE = ("kill-region",)
"""Faults that hit many roles at once, so that `fault/role` would never apply."""

_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m)")
_DURATION_RULE = "a duration with its unit (ns, us, ms, s, m), such as 300ms"
_BROKEN_RULE = "a count such as 0, a percentage such as 0.1%, or own"
_DURATION_KEYS = ("black_hole", "new_fail", "recover")


@dataclass(frozen=True, slots=True)
class BrokenBudget:
    """How many established connections may break.

    `count`: at most `amount`; `percentage`: at most `amount` percent; `own`: those that ended at the failed element."""

    unit: Literal["count", "percentage", "own"]
    amount: float = 0.0

    def __str__(self) -> str:
        return "own" if self.unit == "own" else f"{self.amount:g}{'%' if self.unit == 'percentage' else ''}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a fault class may cost; durations in nanoseconds; None is not budgeted, hence not judged."""

    black_hole_ns: int | None = None
    new_fail_ns: int | None = None
    broken: BrokenBudget | None = None
    recover_ns: int | None = None
    elsewhere: Budget | None = None

    @property
    def untouched(self) -> Budget:
        """For flows that were not touched: `elsewhere`, and nothing at all wherever it is silent."""
        given = self.elsewhere or Budget()
        return replace(
            given,
            black_hole_ns=given.black_hole_ns or 0,
            new_fail_ns=given.new_fail_ns or 0,
            broken=given.broken or BrokenBudget("count"),
        )


def parse_duration(text: str) -> int | None:
    """Nanoseconds; None if the text is not a number with a unit, or is finer than a nanosecond."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    exact = Fraction(match[1]) * _NS[match[2]]
    return int(exact) if exact.denominator == 1 else None


def parse_percentage(text: str) -> Fraction | None:
    """0 to 100, exactly as written; None if the text is not a number followed by `%`, or outside."""
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,12})?)%", text)
    return Fraction(match[1]) if match and Fraction(match[1]) <= 100 else None


def parse_broken(text: str) -> BrokenBudget | None:
    """None if the text is none of a count, a percentage and `own`."""
    if text == "own":
        return BrokenBudget("own")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return BrokenBudget("count", float(text))
    percentage = parse_percentage(text)
    return None if percentage is None else BrokenBudget("percentage", float(percentage))


def read_budget(value: Value, *, elsewhere: bool = False) -> Budget:
    """One entry of `budgets`, or its `elsewhere`, which has the same keys but neither `own` nor another `elsewhere`."""
    keys = (*_DURATION_KEYS, "broken") if elsewhere else (*_DURATION_KEYS, "broken", "elsewhere")
    fields = value.fields("a budget", keys)
    if not fields and value.shape == "a mapping" and not value.node.value:
        value.complain(f"a mapping with some of {', '.join(keys)}", "an empty budget")
    durations = {key: _duration(fields[key]) for key in _DURATION_KEYS if key in fields}
    return Budget(
        black_hole_ns=durations.get("black_hole"),
        new_fail_ns=durations.get("new_fail"),
        broken=_broken(fields["broken"], own=not elsewhere) if "broken" in fields else None,
        recover_ns=durations.get("recover"),
        elsewhere=read_budget(fields["elsewhere"], elsewhere=True) if "elsewhere" in fields else None,
    )


def check_budget_name(value: Value, name: str, roles: tuple[str, ...]) -> None:
    """`fault` or `fault/role`, the fault known and the role had by some node."""
    fault, slash, role = name.partition("/")
    if fault not in FAULTS:
        value.complain_of_key(f"the fault class {fault!r}", f"{one_of(FAULTS)}{closest(fault, FAULTS)}")
    if slash and fault in _NO_ROLE:
        value.complain_of_key(f"{name!r}", f"{fault!r} alone: it fails many roles at once")
    elif slash and role not in roles:
        value.complain_of_key(f"the role {role!r}, which no node has", f"{one_of(roles)}{closest(role, roles)}")


def _duration(value: Value) -> int | None:
    text = value.text(_DURATION_RULE)
    if text is None:
        return None
    duration = parse_duration(text)
    if duration is None:
        bare = re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
        value.complain(_DURATION_RULE, f"{text!r}, which has no unit" if bare else None)
    return duration


def _broken(value: Value, *, own: bool) -> BrokenBudget | None:
    text = value.text(_BROKEN_RULE)
    if text is None:
        return None
    broken = parse_broken(text)
    if broken is None:
        value.complain(_BROKEN_RULE)
    elif broken.unit == "own" and not own:
        value.complain("a count or a percentage: untouched flows have nothing at the failed element")
    return broken
