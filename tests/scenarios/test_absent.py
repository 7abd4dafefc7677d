"""What a contract names and a lab has not is found in the lab as the node would find it, and only what is asked for is asked of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.absent import processes_missing, wanted_actions, wanted_processes
from tests.topologies.files import written
from topologies.contract import Contract, load_contract
from topologies.model import Topology
from topologies.source import load_topology

STACK = """\
name: lab
topology:
  defaults: {kind: linux, image: nospof/base:latest, network-mode: none}
  nodes:
    client: {labels: {nospof.role: client}}
    lb1: {labels: {nospof.role: l7}}
    lb2: {labels: {nospof.role: l7}}
    web: {labels: {nospof.role: app}}
  links:
    - endpoints: [client:eth1, lb1:eth1]
    - endpoints: [client:eth2, lb2:eth1]
    - endpoints: [lb1:eth2, web:eth1]
"""
CONTRACT = """\
version: 1
prefixes: [203.0.113.0/24]
services:
  web: {vip: 203.0.113.10, port: 80, protocol: http}
processes:
  l7: [haproxi, keepalived-with-a-long-name]
actions:
  l7: {drain: [lbctl, drain], undrain: [lbctl, undrain]}
"""
LONG = "keepalived-with-a-long-name"[:15]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    return load_topology(written(tmp_path_factory.mktemp("absent"), STACK))


@pytest.fixture(scope="module")
def contract(stack: Topology) -> Contract:
    return load_contract(written(stack.path.parent, CONTRACT, "lab.contract.yml"), stack)


def running(**names: str) -> dict[str, frozenset[str]]:
    nodes = dict.fromkeys(("client", "web"), frozenset({"sleep"}))
    return nodes | {node: frozenset(listed.split()) for node, listed in names.items()}


def test_a_process_that_runs_nowhere_is_named_with_those_that_run_and_the_nearest(
    stack: Topology, contract: Contract
) -> None:
    found = running(lb1=f"haproxy sh {LONG}", lb2=f"haproxy {LONG}")
    (problem,) = processes_missing(stack, contract, found)
    assert (problem.file, problem.line, problem.field) == (contract.path, 6, "processes.l7")
    assert problem.found == "'haproxi', which runs in no node of that role (lb1, lb2)"
    assert problem.expected == f"one of haproxy, {LONG}, sh (did you mean 'haproxy'?)"


def test_what_runs_in_one_of_two_is_there_and_the_kernel_cuts_long_names(stack: Topology, contract: Contract) -> None:
    assert processes_missing(stack, contract, running(lb1=f"haproxi {LONG}", lb2="")) == []


def test_what_somebody_wants_to_see_crash_has_to_run_in_that_very_node(stack: Topology, contract: Contract) -> None:
    found = running(lb1=f"haproxi {LONG}", lb2="haproxy")
    wanted = wanted_processes(stack, contract, ("crash-l7",), ("lb2",))
    assert wanted == [("lb2", "haproxi")], "the first that is listed"
    (problem,) = processes_missing(stack, contract, found, wanted)
    assert problem.found == "'haproxi', which runs not in lb2"
    assert processes_missing(stack, contract, found, wanted_processes(stack, contract, ("crash-l7",), ("lb1",))) == []


@given(
    names=st.fixed_dictionaries({node: st.sets(st.sampled_from(["haproxi", LONG, "sh"])) for node in ("lb1", "lb2")})
)
def test_a_process_is_missing_exactly_where_no_node_of_the_role_has_it(
    stack: Topology, contract: Contract, names: dict[str, set[str]]
) -> None:
    found = processes_missing(stack, contract, running() | {node: frozenset(some) for node, some in names.items()})
    assert len(found) == 2 - sum(any(name in some for some in names.values()) for name in ("haproxi", LONG))


def test_an_action_is_asked_for_with_what_takes_it_back_where_it_may_be_run(
    stack: Topology, contract: Contract
) -> None:
    both = [(node, action) for node in ("lb1", "lb2") for action in ("drain", "undrain")]
    assert wanted_actions(stack, contract, (), ()) == both
    assert wanted_actions(stack, contract, ("drain-l7",), ()) == both
    assert wanted_actions(stack, contract, ("drain-l7",), ("lb2",)) == both[2:]
    assert wanted_actions(stack, contract, ("kill-l7",), ()) == []
