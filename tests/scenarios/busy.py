"""Tells a verdict that a busy host made unknown from one that the tested code did. It knows trust checks by name only."""

from __future__ import annotations

import warnings
from pathlib import Path

from probes.trust import STARVED
from reports.evidence.reader import read_evidence

OF_THE_HOST = STARVED - {"harness-loss"}
ATTEMPTS = 3
"""Tests share their CPUs with other tests, and the instrument is right to doubt itself when it gets none."""


def too_busy(evidence: Path, scenario: str) -> bool:
    """Whether nothing but the host's load is doubted of a scenario; the summary of the tests tells of it."""
    found = next(s for s in read_evidence(evidence).scenarios if s.name == scenario)
    doubted = {check.check for check in found.trust if not check.ok}
    busy = bool(doubted) and doubted <= OF_THE_HOST
    if busy:
        warnings.warn(f"too busy a host for an attempt at {scenario}: {', '.join(sorted(doubted))}", stacklevel=2)
    return busy
