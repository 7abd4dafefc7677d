"""Functions of the kernel by address, as /proc/kallsyms lists them. Pure; it knows nothing of drops."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

_DIGITS = 16  # of an address; the kernel writes all of them, so that lines are in the order of their addresses
_CODE = frozenset("tTwW")
_AFTER = "\x7f"  # sorts behind whatever follows the digits


@dataclass(frozen=True, slots=True)
class Symbols:
    """The lines that name code, sorted. They are taken apart when asked for: there are a hundred thousand."""

    lines: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Symbols:
        """From lines of address, type, name. A kernel that hides its addresses lists zeros, and then nothing has a name."""
        code = (line for line in text.splitlines() if line[_DIGITS + 1 : _DIGITS + 2] in _CODE)
        return cls(tuple(sorted(line for line in code if not line.startswith("0" * _DIGITS))))

    def function(self, address: int) -> str:
        """The function that holds this address, without the suffixes a compiler adds; empty where none is known."""
        at = bisect_right(self.lines, f"{address:0{_DIGITS}x}{_AFTER}")
        return self.lines[at - 1].split()[2].partition(".")[0] if at else ""
