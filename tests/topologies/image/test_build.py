"""Our own image's build on a disk that becomes full while it goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from topologies.image import recipe

pytestmark = pytest.mark.lab


def test_a_disk_that_becomes_full_meanwhile_is_told_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", full], check=True)
    try:
        monkeypatch.setenv("NOSPOF_CACHE", str(full))
        with pytest.raises(recipe.ImageError, match=r"MiB free and the image needs"):
            recipe.base_image()
        monkeypatch.setattr(recipe, "FREE_MIB", 0)  # as if somebody else took the room after we had looked
        with pytest.raises(recipe.ImageError, match=r"became full while the image was built.* NOSPOF_CACHE"):
            recipe.base_image()
        assert [p for p in full.rglob("*") if p.is_file()] == []
    finally:
        subprocess.run(["umount", full], check=True)
