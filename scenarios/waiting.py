"""Waiting for a condition with a deadline. It knows no condition; it says at the deadline what was still missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class DeadlineMissed(Exception):
    """Something did not come about in time; the message names it and what was seen instead."""


def wait_until(missing: Callable[[], str], *, deadline_s: float, every_s: float = 0.1, what: str) -> float:
    """Asks `missing` until it returns an empty string. Returns the seconds it took.

    For states that no event announces (a FIB, a counter). Raises DeadlineMissed with the last answer.
    """
    began = time.monotonic()
    tick = threading.Event()
    while True:
        left = missing()
        took = time.monotonic() - began
        if not left:
            return took
        if took > deadline_s:
            raise DeadlineMissed(f"{what}: after {deadline_s:g} s {left}")
        tick.wait(every_s)


def pass_time(until_ns: int) -> None:
    """Returns when CLOCK_MONOTONIC has passed `until_ns`: the length of a measuring window, not a guess."""
    tick = threading.Event()
    while (left := until_ns - time.monotonic_ns()) > 0:
        tick.wait(left / 1e9)
