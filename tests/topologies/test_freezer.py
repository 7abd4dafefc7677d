"""Which control groups are frozen, of those that the processes of a node are in."""

from __future__ import annotations

from pathlib import Path

from topologies.linux.freezer import _to_hold


def group(root: Path, name: str, file: str) -> Path:
    made = root / name
    made.mkdir()
    (made / file).touch()
    return made


def test_of_both_versions_only_the_first_is_frozen(tmp_path: Path) -> None:
    """A process that has just died is told of in the second only; frozen twice, the others would never be said to stand."""
    old, new = group(tmp_path, "v1", "freezer.state"), group(tmp_path, "v2", "cgroup.freeze")
    assert _to_hold([new, old, new]) == {old}
    assert _to_hold([new]) == {new}
    assert _to_hold([]) == set()
