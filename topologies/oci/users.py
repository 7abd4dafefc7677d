"""Who a node's process is: `user[:group]` of a file or an image, looked up in the image's own passwd and group. Thin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topologies.runtime import RuntimeFailure


@dataclass(frozen=True, slots=True)
class User:
    """Numbers of a user, of its group, and of further groups that it is in."""

    uid: int = 0
    gid: int = 0
    further: tuple[int, ...] = ()


ROOT = User()


def _table(layers: Sequence[Path], name: str) -> list[list[str]]:
    """Lines of passwd(5) or group(5) as fields, from the uppermost layer that has the file."""
    for layer in layers:
        path = layer / "etc" / name
        if path.is_file():
            return [line.split(":") for line in path.read_text(errors="replace").splitlines() if line.count(":") >= 3]
    return []


def look_up(text: str, layers: Sequence[Path]) -> User:
    """As Docker does: names or numbers; the group is the user's own where none is given. Raises RuntimeFailure."""
    if not text:
        return ROOT
    name, _, group = text.partition(":")
    users = _table(layers, "passwd")
    line = next((u for u in users if name in (u[0], u[2])), None)
    if line is None and not name.isdigit():
        raise RuntimeFailure(f"user {name!r}: the image's /etc/passwd has no such user")
    uid, gid, login = (int(line[2]), int(line[3]), line[0]) if line else (int(name), 0, "")
    groups = _table(layers, "group")
    if group:
        found = next((g for g in groups if group in (g[0], g[2])), None)
        if found is None and not group.isdigit():
            raise RuntimeFailure(f"user {text!r}: the image's /etc/group has no group {group!r}")
        return User(uid, int(found[2]) if found else int(group))
    return User(uid, gid, tuple(int(g[2]) for g in groups if login and login in g[3].split(",")))
