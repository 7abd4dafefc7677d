"""Fixtures of the reports' tests: a made-up run written once per test.

It knows the synthetic evidence and nothing of the lab.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.synthetic import write_run


@pytest.fixture
def evidence_file(tmp_path: Path) -> Path:
    return write_run(tmp_path / "evidence.jsonl")
