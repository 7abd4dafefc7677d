"""Writes contracts around budgets and reads them, so that a test shows the budgets only."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.topologies.files import contract_of, problems_of_contract
from topologies.contract import Contract
from topologies.problems import Problem

SERVICES = {
    "http": "  web: {vip: 203.0.113.10, port: 80, protocol: http}\n",
    "https": "  tls: {vip: 203.0.113.10, port: 443, protocol: https}\n",
    "tcp": "  raw: {vip: 203.0.113.10, port: 5432, protocol: tcp}\n",
    "expect": "  redis: {vip: 203.0.113.10, port: 6379, protocol: tcp, send: PING, expect: PONG}\n",
    "udp": "  echo: {vip: 203.0.113.20, port: 7, protocol: udp}\n",
}


def text_of(budgets: str, *protocols: str, top: str = "") -> str:
    """A contract with a service of each of these protocols (of each there is, unless given); one budget per line."""
    services = "".join(SERVICES[protocol] for protocol in protocols or SERVICES)
    lines = "".join(f"  {line}\n" for line in budgets.splitlines())
    return f"version: 1\nprefixes: [203.0.113.0/24]\nservices:\n{services}{top}budgets:\n{lines}"


def read(budgets: str, *protocols: str, top: str = "") -> Contract:
    """The contract with these budgets, for nodes with the roles `client` and `l4`."""
    with tempfile.TemporaryDirectory() as directory:
        return contract_of(Path(directory), text_of(budgets, *protocols, top=top))


def problem_of(budgets: str, *protocols: str, top: str = "") -> Problem:
    """The one problem of such a contract; it has to lie on its last line and name the file."""
    text = text_of(budgets, *protocols, top=top)
    with tempfile.TemporaryDirectory() as directory:
        problems = problems_of_contract(Path(directory), text)
        if len(problems) != 1:
            pytest.fail("\n".join(map(str, problems)))
        assert str(problems[0]).startswith(f"{directory}/lab.contract.yml:{len(text.splitlines())}: ")
        return problems[0]
