"""What may happen to one L4 node without its clients noticing more than the contract allows."""

from __future__ import annotations

from scenarios.faults.drain import drain
from scenarios.faults.kill_node import kill_node
from scenarios.faults.withdraw import withdraw
from scenarios.plugin import Judge


def test_drain_l4(judge: Judge) -> None:
    judge.node("drain-l4", lambda b, node: drain(b.lab, b.contract, node))


def test_withdraw_l4(judge: Judge) -> None:
    judge.node("withdraw-l4", lambda b, node: withdraw(b.lab, b.contract, node))


def test_kill_l4(judge: Judge) -> None:
    judge.node("kill-l4", lambda b, node: kill_node(b.lab, node))
