"""A disk that is full after the lab is up: the lab is gone, one sentence says why, and the exit code says whose fault it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Host
from tests.scenarios.stack import write_stack
from tests.topologies.lab.host import traces
from topologies.source import load_topology

pytestmark = pytest.mark.lab


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that has no room left."""
    small = tmp_path / "full"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        (small / "out").mkdir()
        (small / "filler").write_bytes(bytes(os.statvfs(small).f_bavail * os.statvfs(small).f_frsize))
        yield small
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_run_whose_evidence_cannot_be_written_leaves_no_lab(host: Host, full: Path) -> None:
    stack = write_stack(host.files, host.lab)
    ended = host.nospof("run", "kill-l4", "--topology", stack, "--out", full / "out")
    said = " ".join(ended.err.split())
    assert ended.code == 3, ended.err
    assert f"the evidence cannot be written to {full}/out/evidence.jsonl: No space left on device" in said
    assert "every service answers from every vantage" in said, "the lab was up"
    assert "Traceback" not in ended.err
    assert host.labs() == []
    assert traces(load_topology(stack, None)) == []


def test_a_lab_that_cannot_be_told_of_is_not_left_up(host: Host) -> None:
    stack = write_stack(host.files, host.lab)
    with Path("/dev/full").open("w") as output:
        ended = subprocess.run(
            [sys.executable, "-m", "cli", "up", str(stack), "--json"], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "NOSPOF_RUN": str(host.state)}, stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
    assert ended.returncode == 3, ended.stderr
    assert "No space left on device" in ended.stderr
    assert host.labs() == []
    assert traces(load_topology(stack, None)) == []
