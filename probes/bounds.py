"""How far a sample can be trusted: one-sided 95 % confidence bounds without any assumption about a distribution.

Pure arithmetic: it knows numbers and not what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class UpperBound:
    """`value` is at or above the true percentile with 95 % confidence; None where there is no such bound, and `reason` says why."""

    value: int | None
    reason: str = ""


def enough_for_bound(share: float, confidence: float = CONFIDENCE) -> int:
    """The smallest sample whose largest value bounds this percentile from above: 299 for p99 with 95 % confidence.

    The largest of n lies below the percentile with probability share^n. Raises ValueError unless both lie between 0 and 1.
    """
    if not 0 < share < 1 or not 0 < confidence < 1:
        raise ValueError(f"a share of {share} with confidence {confidence}: both must lie between 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log(share))


def percentile_upper_bound(values: Sequence[int], share: float, confidence: float = CONFIDENCE) -> UpperBound:
    """The smallest order statistic at or above the percentile with this confidence (in whatever unit the values have).

    The k-th smallest of n independent values is too low only if at least k of them lie below the percentile, whose number is
    binomial (n, share): k is the smallest rank for which that has a probability of at most 1 - confidence. Raises ValueError
    unless `share` and `confidence` lie between 0 and 1.
    """
    needed, n = enough_for_bound(share, confidence), len(values)
    if n < needed:
        return UpperBound(None, f"p{100 * share:g} has an upper bound from {needed} values on, and there are {n}")
    above = _most_above(n, 1 - share, 1 - confidence)
    return UpperBound(sorted(values)[n - 1 - above])


def none_of(n: int, confidence: float = CONFIDENCE) -> float | None:
    """The share that may be affected all the same where none of n was: exact binomial, 1 - (1 - confidence)^(1/n), close to 3/n.

    None where n is 0: nothing was tried. Raises ValueError for fewer.
    """
    if n < 0:
        raise ValueError(f"none of {n}: there cannot be fewer than none")
    return 1 - (1 - confidence) ** (1 / n) if n else None


def _most_above(n: int, share: float, risk: float) -> int:
    """The largest m for which at most m of n, each with probability `share`, has a probability of at most `risk`."""
    term, total, m = (1 - share) ** n, 0.0, -1
    while total + term <= risk:
        total, m = total + term, m + 1
        term *= (n - m) / (m + 1) * share / (1 - share)
    return m
