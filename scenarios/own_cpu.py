"""Whether this process itself gets the CPU it asks for: whoever decides and looks must not be the one who waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SCHEDSTAT = Path("/proc/self/schedstat")
MOST_WAITING = 4.0
"""Waiting for a CPU so many times as long as using one: what takes a second takes five then."""
LEAST_NS = 20_000_000
"""Of use and waiting together; of less, nothing is concluded."""


@dataclass
class OwnCpu:
    """Looks at the main thread's account since the last look. Source: the kernel's sched-stats; without it, never starved."""

    path: Path = SCHEDSTAT
    _before: tuple[int, int] = field(default=(0, 0))

    def __post_init__(self) -> None:
        self._before = self._read()

    def starved(self) -> str:
        """Empty, or how much longer it has waited than run since the last look."""
        now = self._read()
        ran, waited = now[0] - self._before[0], now[1] - self._before[1]
        if ran + waited < LEAST_NS:
            return ""
        self._before = now
        if waited <= MOST_WAITING * ran:
            return ""
        return f"nospof itself waits for a CPU {waited / max(ran, 1):.0f} times as long as it uses one"

    def _read(self) -> tuple[int, int]:
        try:
            ran, waited, *_ = map(int, self.path.read_text().split())
        except (OSError, ValueError):
            return 0, 0
        return ran, waited
