"""What may happen when a whole region goes silent."""

from __future__ import annotations

from scenarios.faults.kill_region import kill_region
from scenarios.plugin import Judge
from scenarios.targets import default_region


def test_kill_region(judge: Judge) -> None:
    booted = judge.bench.booted
    judge(
        "kill-region",
        "Silent kill of a region",
        kill_region(booted.lab, judge.target or default_region(booted.topology)),
    )
