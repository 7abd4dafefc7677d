"""Directories of ours are ours alone; what somebody else planted in their place is neither followed nor changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from topologies.linux import claim, state
from topologies.linux.private import private, safe_parent
from topologies.linux.state import Places
from topologies.runtime import RuntimeFailure

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two users")
NOBODY = 65534


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Something of somebody's that a planted link leads to."""
    found = tmp_path / "outside"
    found.mkdir(mode=0o755)
    (found / "letter").write_text("keep")
    return found


def _untouched(outside: Path) -> bool:
    return [p.name for p in outside.iterdir()] == ["letter"] and _mode(outside) == 0o755


def test_one_that_is_made_is_for_us_alone_and_is_taken_again(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    private(ours)
    assert _mode(ours) == 0o700
    ours.chmod(0o755)  # as earlier versions had it
    private(ours)
    assert _mode(ours) == 0o700


def test_a_planted_link_is_refused_and_not_followed(tmp_path: Path, outside: Path) -> None:
    planted = tmp_path / "planted"
    planted.symlink_to(outside)
    with pytest.raises(RuntimeFailure, match="planted is a symbolic link, and not ours"):
        private(planted)
    planted.unlink()
    planted.touch()
    with pytest.raises(RuntimeFailure, match="planted is no directory"):
        private(planted)
    assert _untouched(outside)


@root_only
def test_somebody_else_s_directory_is_refused_and_not_changed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, NOBODY, NOBODY)
    for make in (private, safe_parent):
        with pytest.raises(RuntimeFailure, match=f"theirs belongs to user {NOBODY}, not to us"):
            make(theirs)
    assert _mode(theirs) == 0o755


def test_what_everybody_can_exchange_is_no_parent_unless_it_is_sticky(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(RuntimeFailure, match="everybody can write"):
        safe_parent(shared)
    shared.chmod(0o1777)
    safe_parent(shared)
    assert _mode(shared) == 0o1777, "a directory that is not ours alone keeps its mode"


@root_only
def test_a_lab_is_not_made_below_a_planted_link(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "ROOT", tmp_path / "run/labs")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/labs").symlink_to(outside)
    with pytest.raises(RuntimeFailure, match="labs is a symbolic link"):
        claim.claim(Places("one"))
    (tmp_path / "run/labs").unlink()
    (tmp_path / "run").rmdir()
    (tmp_path / "run").symlink_to(outside)
    os.chown(tmp_path / "run", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(RuntimeFailure, match="belongs to user"):
        claim.claim(Places("one"))
    assert _untouched(outside)


@root_only
def test_a_lab_and_all_that_is_kept_of_it_are_for_us_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "ROOT", tmp_path / "run/labs")
    places = Places("one")
    claim.claim(places)
    assert _mode(places.root) == _mode(places.root.parent) == 0o700
    assert places.scratch.is_relative_to(places.root)
