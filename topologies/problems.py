"""What is wrong with a user's file: where, in which field, what was found and what would be right.

Must not know what the file is about."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. `line` counts from 1; 0 means the file as a whole (it cannot be read, for instance)."""

    file: Path
    line: int
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{where}: {self.field}: found {self.found}; expected {self.expected}"


class BadInput(Exception):
    """A file that cannot be used, with every problem in it; `str` is one line per problem. Exit code 2."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        # One mistake in `defaults` shows in every node; it is said once.
        self.problems: list[Problem] = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def one_of(known: Collection[str]) -> str:
    """`a`, or `one of a, b, c`, sorted."""
    names = sorted(name if name.isprintable() else repr(name) for name in known)
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def closest(word: str, known: Collection[str]) -> str:
    """` (did you mean 'x'?)` when a known word is near, else nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
