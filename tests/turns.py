"""Which of the tests that take long are run: none, all, or the part whose turn it is by the commit. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

PARTS = 13
"""In so many commits' time, about, each part has come up."""


def part_of(test: str) -> int:
    """The part that a test belongs to, by its name alone: what is added moves no other."""
    return int(hashlib.sha256(test.encode()).hexdigest(), 16) % PARTS


def chosen(tests: Collection[str], which: str, commit: str) -> frozenset[str]:
    """Those to run of some long tests. `which`: `all`, `turn`, or anything else for none; `commit`: in hexadecimal.

    Where the part whose turn it is has none of them, it is the next one's that has.
    """
    if which == "all":
        return frozenset(tests)
    if which != "turn" or not tests:
        return frozenset()
    turn = int(commit or "0", 16)
    parts = {part_of(test) for test in tests}
    part = next(at % PARTS for at in range(turn, turn + PARTS) if at % PARTS in parts)
    return frozenset(test for test in tests if part_of(test) == part)
