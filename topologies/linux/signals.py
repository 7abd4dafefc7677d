"""Signals to processes that may fork meanwhile: none that was there when the signal came is left out. Knows no lab and no node."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

PASSES = 4
"""How often a list is read again, for what was forked while it was read, before its processes are held still."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Find = Callable[[], Collection[int]]
Still = Callable[[], AbstractContextManager[object]]


def started_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (proc(5)); None for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def now_ticks() -> int:
    """The same clock now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * TICKS_PER_S // 1_000_000_000


def send(pids: Iterable[int], number: int) -> list[int]:
    """Sends a signal to each; those that were there to get it."""
    got = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            got.append(pid)
    return got


def signal_all(find: Find, number: int, still: Still) -> tuple[int, ...]:
    """Sends a signal to everyone whom `find` finds, and to those forked before it came; the pids that got it.

    What begins after the signal is somebody's answer to it, such as a supervisor's, and is left alone. `still` is entered for a last
    look, where they fork faster than they can be listed or none was found: nobody may fork inside it.
    """
    got: list[int] = []
    since: int | None = None
    for _ in range(PASSES):
        found = set(find()) - set(got)
        fresh = found if since is None else {pid for pid in found if _before(pid, since)}
        if not fresh and got:
            return tuple(got)
        if not fresh:
            break
        got += send(fresh, number)
        since = now_ticks()
    with still():
        got += send(set(find()) - set(got), number)
    return tuple(got)


def _before(pid: int, ticks: int) -> bool:
    """Whether a process began by then. One that is gone already did, and may have left a child."""
    began = started_ticks(pid)
    return began is None or began <= ticks
