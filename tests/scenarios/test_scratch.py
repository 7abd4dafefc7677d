"""Where the instruments keep their records only root can look, and what somebody planted where they might is left alone."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.boot import Booted, boot
from scenarios.instruments import Instruments
from tests.scenarios.stack import write_stack
from topologies.runtimes import destroy

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    lab = f"scratch{os.getpid()}"
    found = boot(write_stack(tmp_path_factory.mktemp("stack"), lab))
    yield found
    found.lab.close()
    destroy(lab)


def test_records_lie_where_only_root_can_enter_and_a_planted_link_leads_nowhere(booted: Booted, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("keep")
    planted = [Path(place) / f"nospof-{booted.topology.name}" for place in ("/dev/shm", "/tmp", "/run")]
    for link in planted:
        link.symlink_to(tmp_path)
    try:
        scratch = booted.lab.places.scratch
        with Instruments(booted):
            assert (scratch / "watch").exists()
            assert all(
                stat.S_IMODE(p.stat().st_mode) == 0o700 for p in (scratch, scratch.parent, scratch.parent.parent)
            )
            as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", "ls", str(scratch)]
            assert subprocess.run(as_nobody, capture_output=True, check=False).returncode != 0
        assert not scratch.exists()
        assert [p.name for p in tmp_path.iterdir()] == ["letter"]
        assert all(link.is_symlink() for link in planted)
    finally:
        for link in planted:
            link.unlink()
