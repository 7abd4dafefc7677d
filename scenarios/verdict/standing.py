"""How long a fault stands: until it was quiet and no timer that it started still runs, and never longer than its cap. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

QUIET_NS = 5_000_000_000  # RFC 6412, Sustained Convergence Validation Time
SHORTEST_CAP_NS = 20_000_000_000
SETTLE_NS = 300_000_000
"""An answer may be so long on its way before its absence is a loss: for so much longer nothing may have been lost."""


def cap_ns(
    longest_timer_ns: int,
    watch_ns: int,
    longest_limit_ns: int,
    *,
    shortest_ns: int = SHORTEST_CAP_NS,
    quiet_ns: int = QUIET_NS,
) -> int:
    """For how long a fault stands at most: the longest of 20 s, its timers and `watch`; the class's longest limit (`return` excepted);
    and 5 s."""
    return max(shortest_ns, longest_timer_ns, watch_ns) + longest_limit_ns + quiet_ns


@dataclass(frozen=True, slots=True)
class Stretch:
    """Loss of one series, less than 1 s apart: when its first lost sample was due, when its last one was, and how many were lost."""

    first_ns: int
    last_ns: int
    lost: int

    @property
    def length_ns(self) -> int:
        return self.last_ns - self.first_ns


@dataclass(frozen=True, slots=True)
class AtRest:
    """The longest stretch of one series in the control window, how many samples its densest one lost, and how many all of them did;
    None: as many."""

    longest_ns: int = -1
    lost: int = 0
    total: int | None = None

    def explains(self, stretch: Stretch) -> bool:
        """Whether a stretch at rest was as long and as dense."""
        return stretch.length_ns <= self.longest_ns and stretch.lost <= self.lost

    def beyond(self, stretches: Sequence[Stretch]) -> list[Stretch]:
        """Those longer or denser than at rest, each by itself, or with those before it in as long as a control window: the others end
        no quiet. A loss at rest goes on for as long as a fault stands, so that all of it together would always be longer."""
        total = self.lost if self.total is None else self.total
        return [s for s in stretches if not self.explains(s) or _lost_until(s, stretches) > total]


def _lost_until(last: Stretch, stretches: Sequence[Stretch]) -> int:
    """In the `QUIET_NS` up to the end of this stretch."""
    return sum(s.lost for s in stretches if last.last_ns - QUIET_NS < s.first_ns and s.last_ns <= last.last_ns)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known while a fault stands.

    `stretches`: of each series since the event; `asked_ns`: when the last sample of any kind was due; `ended_connections`: when
    connections broke; `running`: the timers that still run, in words; `settle_ns`: what was due so lately may be answered yet.
    """

    event_ns: int
    now_ns: int
    stretches: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)
    at_rest: Mapping[str, AtRest] = field(default_factory=dict)
    asked_ns: int | None = None
    ended_connections: Sequence[int] = ()
    running: Sequence[str] = ()
    watch_ns: int = 0
    settle_ns: int = SETTLE_NS

    @property
    def last_loss_ns(self) -> int:
        """When something was last lost that was not lost at rest as well; the event where nothing was."""
        lost = [
            s.last_ns
            for name, stretches in self.stretches.items()
            for s in self.at_rest.get(name, AtRest()).beyond(stretches)
        ]
        return max([self.event_ns, *lost, *(t for t in self.ended_connections if t >= self.event_ns)])


def missing(seen: Seen, quiet_ns: int = QUIET_NS) -> str:
    """Empty when the fault has stood for long enough; else what it stands for. The cap is the caller's deadline."""
    quiet = seen.now_ns - seen.last_loss_ns
    if quiet < quiet_ns + seen.settle_ns:
        return f"{quiet_ns / 1e9:g} s without loss are not over"
    asked_ns = (seen.event_ns if seen.asked_ns is None else seen.asked_ns) - seen.last_loss_ns
    if asked_ns < quiet_ns:
        return f"nothing was asked after {max(0, asked_ns) / 1e9:.1f} of {quiet_ns / 1e9:g} s, which is not quiet"
    if seen.now_ns - seen.event_ns < seen.watch_ns:
        return f"the contract watches for {seen.watch_ns / 1e9:g} s"
    return f"still running: {'; '.join(seen.running)}" if seen.running else ""
