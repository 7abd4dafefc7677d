"""Writes topology and contract files for tests and reads them back, so that a test shows only what it is about."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from pathlib import Path

import pytest

from topologies.contract import Contract, load_contract
from topologies.model import Endpoint, Link, Node, Topology
from topologies.problems import BadInput, Problem
from topologies.source import load_topology

GOOD = """\
name: lab
topology:
  defaults: {kind: linux, image: nospof/base:latest, network-mode: none}
  nodes:
    a: {labels: {nospof.role: client, nospof.region: eu}}
    b: {labels: {nospof.role: l4, nospof.region: eu}}
  links:
    - endpoints: [a:eth1, b:eth1]
"""

CONTRACT = """\
version: 1
prefixes: [203.0.113.0/24, "2001:db8:f::/48"]
services:
  web: {vip: [203.0.113.10, "2001:db8:f::10"], port: 80, protocol: http, host: web.test}
  echo: {vip: 203.0.113.20, port: 7, protocol: udp}
processes: {l4: [l4agent, bgpd]}
actions:
  l4: {drain: [l4ctl, drain], undrain: [l4ctl, undrain]}
budgets:
  drain: {black_hole: 0ms, broken: 0}
  kill-node: {black_hole: 300ms, new_fail: 1s, broken: own}
  kill-node/l4: {black_hole: 200ms, broken: 0.1%, recover: 10s, elsewhere: {black_hole: 10ms}}
availability: 99.99%
"""


def small_topology(*roles: str, path: Path = Path("lab.clab.yml")) -> Topology:
    """A chain of nodes with these roles, named by role and place."""
    names = [f"{role}{index}" for index, role in enumerate(roles)]
    nodes = {
        name: Node(name, "linux", "nospof/base:latest", labels={"nospof.role": role}, line=index + 1)
        for index, (name, role) in enumerate(zip(names, roles, strict=True))
    }
    links = tuple(Link((Endpoint(one, "right"), Endpoint(other, "left"))) for one, other in pairwise(names))
    return Topology("lab", path, "clab", nodes, links)


def written(directory: Path, text: str, name: str = "lab.clab.yml") -> Path:
    path = directory / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def problems_of_topology(directory: Path, text: str) -> list[Problem]:
    with pytest.raises(BadInput) as caught:
        load_topology(written(directory, text))
    return caught.value.problems


def contract_of(directory: Path, text: str = CONTRACT) -> Contract:
    return load_contract(written(directory, text, "lab.contract.yml"), small_topology("client", "l4"))


def problems_of_contract(directory: Path, text: str) -> list[Problem]:
    with pytest.raises(BadInput) as caught:
        contract_of(directory, text)
    return caught.value.problems


def only(problems: list[Problem]) -> Problem:
    """The one problem; what else was complained of shows in the failure."""
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def line_of(text: str, part: str) -> int:
    """The line, from 1, on which `part` first stands in a file's text."""
    return textwrap.dedent(text)[: textwrap.dedent(text).index(part)].count("\n") + 1
