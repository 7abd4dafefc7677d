"""On which line of a file a key stands, looked up again where something turns out to be wrong only later.

Must not know what the file is about."""

from __future__ import annotations

from pathlib import Path

from topologies.document import read_document
from topologies.problems import BadInput


def line_of(file: Path, *keys: str) -> int:
    """The line of the key at the end of this path, or of the deepest one on it that is there; 0 where none is, or no file."""
    line = 0
    try:
        value = read_document(file, "a file that was read before").root()
    except BadInput:  # it has changed since; whoever asks has something else to complain of
        return line
    for key in keys:
        below = value.entries("a mapping")
        if key not in below:
            break
        value = below[key]
        line = value.key_line
    return line
