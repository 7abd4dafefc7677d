"""Times for which a watcher cannot vouch, each with its sentence. Pure; knows no watcher."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Gaps:
    """Collects them. All times are CLOCK_MONOTONIC ns."""

    _found: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, begin_ns: int, end_ns: int, sentence: str) -> None:
        """Something may be missing, or placed badly, in [begin, end]."""
        self._found.append((begin_ns, end_ns, sentence))

    def forget(self, before_ns: int) -> None:
        """Lets go of those that were over by then."""
        self._found = [gap for gap in self._found if gap[1] >= before_ns]

    def between(self, t0_ns: int, t1_ns: int) -> list[str]:
        """The sentences that concern [t0, t1], in order of time; one that stands more than once says how often."""
        often = Counter(text for begin, end, text in sorted(self._found) if begin <= t1_ns and end >= t0_ns)
        return [text if count == 1 else f"{text} ({count} times)" for text, count in often.items()]
