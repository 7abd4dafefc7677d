"""What may happen to any node, of whichever role: played where it is asked for by name."""

from __future__ import annotations

from scenarios.faults.crash_process import crash_process
from scenarios.faults.freeze_process import freeze_process
from scenarios.faults.kill_node import kill_node
from scenarios.plugin import Judge


def test_kill_node(judge: Judge) -> None:
    judge.node("kill-node", lambda b, node: kill_node(b.lab, node))


def test_crash_process(judge: Judge) -> None:
    judge.node("crash-process", lambda b, node: crash_process(b.lab, b.contract, node))


def test_freeze_process(judge: Judge) -> None:
    judge.node("freeze-process", lambda b, node: freeze_process(b.lab, b.contract, node))
