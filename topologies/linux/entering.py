"""The host's command that runs another one where a process is. Thin: enter.c does it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from topologies.image.native import compile_program


@lru_cache
def _program() -> str:
    return str(compile_program(Path(__file__).with_name("enter.c")))


def _user_of(pid: int) -> tuple[int, int]:
    """User and group of a process; root's where it is gone, which the command will say itself."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    found = {line[:3]: int(line.split()[1]) for line in lines if line.startswith(("Uid:", "Gid:"))}
    return found["Uid"], found["Gid"]


def argv_into(pid: int, groups: Sequence[Path], environment: Sequence[str], argv: Sequence[str]) -> list[str]:
    """`groups`: files that a process writes itself into to be weighed and limited as the node is; it would else have to wait behind
    the whole lab, as the harness does."""
    user, group = _user_of(pid)
    return [_program(), str(pid), str(user), str(group), *map(str, groups), "--", *environment, "--", *argv]
