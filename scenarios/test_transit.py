"""What may happen when a transit goes silent, and its region with it for everybody outside."""

from __future__ import annotations

from scenarios.faults.kill_node import kill_node
from scenarios.plugin import Judge


def test_kill_transit(judge: Judge) -> None:
    judge.node("kill-transit", lambda b, node: kill_node(b.lab, node))
