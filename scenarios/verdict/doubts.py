"""What can be wrong with an instrument or a lab, and what each doubt does to the figures that it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

About = Literal["probe", "syn", "request", "query", "connection", "idle", "load"]
Effect = Literal["widens", "hides", "makes", "blurs"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason not to believe a figure as it stands.

    `effect`: it *widens* a time by `width_ns` and a number of connections by `count`; it can only *hide* loss (a dead prober), so that
    what was kept is not known and what was broken is; it can only *make* loss (a lab short of CPU), so that what was broken is not
    known and what was kept is; it *blurs* (a clock that stepped): nothing is known.
    `about`, `vantages`, `where`: which rows and series it concerns; empty: all. An idle connection is one of the connections, too.
    `after_heal`: it began after the heal. `no_pass`: whatever the rows say, the trial does not pass. `cpu`: a host with more CPU to
    spare may not have it.
    """

    check: str
    sentence: str
    effect: Effect
    width_ns: int = 0
    count: int = 0
    about: frozenset[About] = frozenset()
    vantages: frozenset[str] = frozenset()
    where: Literal["touched", "elsewhere", ""] = ""
    after_heal: bool = False
    no_pass: bool = False
    cpu: bool = False

    @property
    def makes(self) -> bool:
        """Whether it can make loss that nobody had otherwise."""
        return self.effect in ("makes", "blurs")

    @property
    def hides(self) -> bool:
        """Whether it can hide loss."""
        return self.effect in ("hides", "blurs")

    def concerns(self, kind: About, vantage: str, where: Literal["touched", "elsewhere"], part: str) -> bool:
        """Whether it is about this series or connection, in this part of the trial."""
        return (
            (not self.about or kind in self.about)
            and (not self.vantages or not vantage or vantage in self.vantages)
            and self.where in ("", where)
            and (part == "after" or not self.after_heal)
        )


def strongest(doubts: Iterable[Doubt]) -> tuple[bool, bool, int, int]:
    """Of these doubts together: whether one can make loss, whether one can hide it, and the sum of their widths, in ns and in
    connections."""
    found = tuple(doubts)
    return (
        any(d.makes for d in found),
        any(d.hides for d in found),
        sum(d.width_ns for d in found if d.effect == "widens"),
        sum(d.count for d in found if d.effect == "widens"),
    )
