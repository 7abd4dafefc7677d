"""What may happen when a whole region goes silent."""

from __future__ import annotations

from scenarios.faults.kill_region import kill_region
from scenarios.plugin import Judge


def test_kill_region(judge: Judge) -> None:
    judge.region("kill-region", lambda b, region: kill_region(b.lab, region))
