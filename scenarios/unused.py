"""A path that nothing has yet. It makes nothing."""

from __future__ import annotations

from pathlib import Path


def unused(path: Path) -> Path:
    """The path, or the first `path-2`, `path-3`… that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
