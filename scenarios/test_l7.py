"""What may happen to one L7 node, whose connections end with it and nobody else's."""

from __future__ import annotations

from scenarios.faults.crash_process import crash_process
from scenarios.faults.drain import drain
from scenarios.faults.freeze_process import freeze_process
from scenarios.faults.kill_node import kill_node
from scenarios.plugin import Judge


def test_drain_l7(judge: Judge) -> None:
    judge.node("drain-l7", lambda b, node: drain(b.lab, b.contract, node))


def test_crash_l7(judge: Judge) -> None:
    judge.node("crash-l7", lambda b, node: crash_process(b.lab, b.contract, node))


def test_freeze_l7(judge: Judge) -> None:
    judge.node("freeze-l7", lambda b, node: freeze_process(b.lab, b.contract, node))


def test_kill_l7(judge: Judge) -> None:
    judge.node("kill-l7", lambda b, node: kill_node(b.lab, node))
