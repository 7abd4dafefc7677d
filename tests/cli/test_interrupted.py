"""Ctrl-C ends a run with 130, whenever it comes; a run that ends itself for bad input ends with 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from cli import scenarios
from cli.lab import REFERENCE


class BrokenFile(KeyboardInterrupt):
    """As pytest ends where a test file cannot be read."""


@pytest.mark.parametrize(("ended_by", "code"), [(KeyboardInterrupt, 130), (pytest.exit.Exception, 2), (BrokenFile, 2)])
def test_before_there_is_any_evidence(
    ended_by: type[BaseException], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the lab comes up, above all. pytest's own code is 2 for both."""

    def ends() -> None:
        raise ended_by

    def main(_: list[str], plugins: list[Any]) -> int:
        with pytest.raises(ended_by) as raised:
            ends()
        for plugin in plugins:
            plugin.pytest_keyboard_interrupt(cast(Any, raised))
        return int(pytest.ExitCode.INTERRUPTED)

    monkeypatch.setattr(scenarios.pytest, "main", main)
    assert scenarios.play(REFERENCE, None, ("kill-l4",), (), as_json=False, out=tmp_path / "out") == code
