"""Durations and shares as a contract writes them: from a text to a figure, or to what would be right.

Must not know what they limit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from topologies.document import Value

SECOND = 10**9
MINUTE = 60 * SECOND
_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": SECOND, "m": MINUTE}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m)")
_PERCENTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,12})?)%")


@dataclass(frozen=True, slots=True)
class Durations:
    """Which durations are right: from `low_ns` to `high_ns`, both included. `bounds` says the same in words; `such_as` is one."""

    such_as: str = "300ms"
    bounds: str = ""
    low_ns: int = 0
    high_ns: int | None = None

    @property
    def rule(self) -> str:
        """What would be right, for a message."""
        return f"a duration with its unit (ns, us, ms, s, m),{f' {self.bounds},' if self.bounds else ''} such as {self.such_as}"

    def hold(self, ns: int) -> bool:
        """Whether it lies within the bounds."""
        return self.low_ns <= ns and (self.high_ns is None or ns <= self.high_ns)


def parse_duration(text: str) -> int | None:
    """Nanoseconds; None if the text is not a number with a unit, or is finer than a nanosecond."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    exact = Fraction(match[1]) * _NS[match[2]]
    return int(exact) if exact.denominator == 1 else None


def parse_percentage(text: str) -> Fraction | None:
    """0 to 100, exactly as written; None if the text is not a number followed by `%`, or outside."""
    match = _PERCENTAGE.fullmatch(text)
    return Fraction(match[1]) if match and Fraction(match[1]) <= 100 else None


def read_duration(value: Value, right: Durations) -> int | None:
    """Nanoseconds; None, and a problem, where it is not one of those that are right."""
    text = value.text(right.rule)
    if text is None:
        return None
    duration = parse_duration(text)
    if duration is None or not right.hold(duration):
        bare = re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
        value.complain(right.rule, f"{text!r}, which has no unit" if bare else None)
        return None
    return duration


def read_percentage(value: Value, rule: str) -> Fraction | None:
    """0 to 100; None, and a problem that says `rule`, where it is none."""
    text = value.text(rule)
    if text is None:
        return None
    percentage = parse_percentage(text)
    if percentage is None:
        value.complain(rule)
    return percentage
