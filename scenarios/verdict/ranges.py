"""A figure as the range in which the truth lies, and whether it keeps a limit. Pure; it knows neither keys nor trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Range:
    """The truth lies between `low` and `high`; `high` None: nobody knows how far above. `surely`: something was lost beyond doubt,
    however little, which breaks a limit of 0."""

    low: float
    high: float | None
    surely: bool = False

    def against(self, limit: float) -> State:
        """Low end over the limit: fail. High end within: ok. Else unknown."""
        if self.low > limit or (limit == 0 and self.surely):
            return "fail"
        return "ok" if self.high is not None and self.high <= limit else "unknown"


NOTHING = Range(0, 0)
UNKNOWN = Range(0, None)


def around(figure: float, *, least: float, most: float, width: float, strong: float) -> Range:
    """A figure with what widens it. `width` is the sampling's and the instrument's usual lateness, which cannot make loss out of none;
    `strong` is what can."""
    if most <= 0:
        return Range(0, strong)
    low = max(0.0, least - width - strong) if figure > 0 else 0.0
    return Range(low, most + width + strong, surely=least - strong > 0)


def doubted(found: Range, *, makes: bool, hides: bool) -> Range:
    """What is left of a range where something can make loss (how little there was is open), or hide it (how much is)."""
    low, surely = (0.0, False) if makes else (found.low, found.surely)
    return Range(low, None if hides else found.high, surely)


def worst(ranges: Iterable[Range]) -> Range:
    """The range of the largest of several figures."""
    found = tuple(ranges)
    highs = [one.high for one in found]
    return Range(
        max((one.low for one in found), default=0),
        None if None in highs else max((high for high in highs if high is not None), default=0),
        any(one.surely for one in found),
    )
