"""Whoever asks a busy lab something is not the one who waits, and the host's groups are as before when it is through."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from topologies.linux.cgroups import HARNESS, MOST_SHARES, ROOT, served_first

pytestmark = pytest.mark.lab
TOP = ROOT / "cpu"


def _group(pid: int | str = "self") -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next((path for _, names, path in (x.split(":", 2) for x in lines) if "cpu" in names.split(",")), "")


def test_a_process_that_nobody_placed_is_put_first_and_back() -> None:
    before = _group()
    if before != "/":
        pytest.skip(f"this process has been placed in {before or 'a hierarchy of version 2'}, and is left there")
    with served_first():
        assert _group() == f"/{HARNESS}{os.getpid()}"
        assert int((TOP / f"{HARNESS}{os.getpid()}/cpu.shares").read_text()) == MOST_SHARES
        with subprocess.Popen(["sleep", "60"]) as child:
            assert _group(child.pid) == _group()
            child.kill()
    assert _group() == before
    assert not (TOP / f"{HARNESS}{os.getpid()}").exists()


def test_the_group_of_one_that_was_killed_goes_with_the_next() -> None:
    if _group() != "/":
        pytest.skip("this process has been placed elsewhere, and is left there")
    (TOP / f"{HARNESS}none").mkdir()
    with served_first():
        assert not (TOP / f"{HARNESS}none").exists()
