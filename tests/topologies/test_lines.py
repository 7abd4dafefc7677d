"""Where a key stands is found again, and what is not there is where it would have to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topologies.files import CONTRACT, line_of, written
from topologies import lines


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        (("services", "echo"), "echo:"),
        (("actions", "l4", "drain"), "l4: {drain"),
        (("actions", "l7", "drain"), "actions:"),
        (("processes", "l4"), "processes:"),
    ],
)
def test_a_key_or_the_deepest_above_it_is_found(tmp_path: Path, keys: tuple[str, ...], part: str) -> None:
    path = written(tmp_path, CONTRACT, "lab.contract.yml")
    assert lines.line_of(path, *keys) == line_of(CONTRACT, part)


def test_what_is_not_there_has_no_line(tmp_path: Path) -> None:
    assert lines.line_of(written(tmp_path, CONTRACT), "nowhere") == 0
    assert lines.line_of(tmp_path / "nowhere.yml", "services") == 0
    assert lines.line_of(written(tmp_path, "a: [", "broken.yml"), "a") == 0
