"""Of which directories a node starts without what it left there, read off a root file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from topologies.oci.emptied import COPY_UP, EMPTIED, emptied


def test_an_image_without_any_gets_empty_ones(tmp_path: Path) -> None:
    assert emptied(tmp_path) == EMPTIED


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_what_an_image_has_there_is_kept_with_its_mode_and_owner(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o2750)
    os.chown(tmp_path / "run", 101, 102)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "run").chmod(0o2750)  # giving it away took the bit
    (tmp_path / "var/run").mkdir(parents=True)
    (tmp_path / "var/run").chmod(0o755)
    assert emptied(tmp_path) == {
        "/run": ("mode=2750", "uid=101", "gid=102", COPY_UP),
        "/tmp": ("mode=1777", "uid=0", "gid=0", COPY_UP),
        "/var/run": ("mode=0755", "uid=0", "gid=0", COPY_UP),
    }


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "run").mkdir(parents=True)
    root = tmp_path / "root"
    root.mkdir()
    (root / "run").symlink_to(outside / "run")
    (root / "var").symlink_to(outside)
    assert emptied(root) == {"/tmp": EMPTIED["/tmp"]}
