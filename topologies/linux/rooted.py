"""Looks for programs in a node as the node itself would find them. It follows the node's links within the node's root, and reads
nothing but names and modes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

MOST_LINKS = 40
"""As many as the kernel follows, path_resolution(7)."""
DEFAULT_PATH = "/bin:/usr/bin"
"""Where execvp(3) looks without a PATH."""


def within(root: Path, path: str) -> Path | None:
    """The host's path of what `path` means below that root; None where it leads nowhere."""
    left = list(PurePosixPath(path).parts)[::-1]
    done: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part in ("/", "."):
            done = [] if part == "/" else done
            continue
        if part == "..":
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        try:
            mode = here.lstat().st_mode
            target = str(here.readlink()) if stat.S_ISLNK(mode) else None
        except OSError:
            return None
        if target is None:
            done.append(part)
            continue
        if (links := links + 1) > MOST_LINKS:
            return None
        left += list(PurePosixPath(target).parts)[::-1]
    return root.joinpath(*done)


def has_program(root: Path, program: str, search: str, cwd: str = "/") -> bool:
    """Whether execvp(3) would find a file that may be run. `search` is the PATH of the node's commands, `cwd` where they start."""
    if "/" in program:
        return _runs(within(root, program if program.startswith("/") else f"{cwd}/{program}"))
    return any(_runs(within(root, f"{place or cwd}/{program}")) for place in search.split(":"))


def programs(root: Path, search: str) -> set[str]:
    """The names of all files in the directories of that PATH."""
    places = (within(root, place) for place in search.split(":") if place)
    return {file.name for place in places if place and place.is_dir() for file in place.iterdir()}


def path_of(environment: Iterable[str]) -> str:
    """The PATH among `NAME=VALUE`."""
    return next((one[5:] for one in environment if one.startswith("PATH=")), DEFAULT_PATH)


def _runs(file: Path | None) -> bool:
    try:
        mode = file.stat(follow_symlinks=False).st_mode if file else 0
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o111)
