"""What may happen to one L4 node without its clients noticing more than the contract allows."""

from __future__ import annotations

from scenarios.faults.drain import drain
from scenarios.faults.kill_node import kill_node
from scenarios.faults.withdraw import withdraw
from scenarios.plugin import Judge
from scenarios.targets import default_node


def _target(judge: Judge) -> str:
    return judge.target or default_node(judge.bench.booted.topology, "l4")


def test_drain_l4(judge: Judge) -> None:
    booted = judge.bench.booted
    judge("drain-l4", "Drain of an L4 node", drain(booted.lab, booted.contract, _target(judge)))


def test_withdraw_l4(judge: Judge) -> None:
    booted = judge.bench.booted
    judge("withdraw-l4", "Withdrawal by an L4 node", withdraw(booted.lab, booted.contract, _target(judge)))


def test_kill_l4(judge: Judge) -> None:
    judge("kill-l4", "Silent kill of an L4 node", kill_node(judge.bench.booted.lab, _target(judge)))
