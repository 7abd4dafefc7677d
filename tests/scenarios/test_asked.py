"""What was asked for and cannot be is refused from the files alone, with the nearest right name; what can be is played where asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.asked import Play, check_asked, plays
from scenarios.catalogue import ENTRIES
from scenarios.targets import named_links
from tests.topologies.files import written
from topologies.budget.classes import CLASSES
from topologies.contract import Contract, load_contract
from topologies.model import Topology
from topologies.problems import BadInput, Problem
from topologies.source import load_topology

STACK = """\
name: lab
topology:
  defaults: {kind: linux, image: nospof/base:latest, network-mode: none}
  nodes:
    us-client: {labels: {nospof.role: client, nospof.region: us}}
    us-other: {labels: {nospof.role: client, nospof.region: us}}
    far-client: {labels: {nospof.role: client, nospof.region: far}}
    us-edge: {labels: {nospof.role: edge, nospof.region: us}}
    us-l4-1: {labels: {nospof.role: l4, nospof.region: us}}
    us-l4-2: {labels: {nospof.role: l4, nospof.region: us}}
    eu-l4-1: {labels: {nospof.role: l4, nospof.region: eu}}
    us-l7-1: {labels: {nospof.role: l7, nospof.region: us}}
    rack: {}
  links:
    - endpoints: [us-client:eth1, us-edge:eth1]
    - endpoints: [us-edge:eth2, us-l4-1:eth1]
    - endpoints: [us-edge:eth3, us-l4-2:eth1]
    - endpoints: [us-l4-1:eth2, us-l7-1:eth1]
    - endpoints: [us-client:eth9, us-other:eth9]
    - endpoints: [us-edge:eth4, eu-l4-1:eth1]
    - endpoints: [us-edge:eth5, far-client:eth1]
    - endpoints: [us-edge:eth6, rack:eth1]
"""
CONTRACT = """\
version: 1
prefixes: [203.0.113.0/24]
services:
  web: {vip: 203.0.113.10, port: 80, protocol: http}
processes: {l7: [envoy, agent]}
actions:
  l4: {drain: [l4ctl, drain], undrain: [l4ctl, undrain]}
budgets:
  kill-node: {new_fail: 300ms}
  cut-link: {new_fail: 300ms}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("asked")


@pytest.fixture(scope="module")
def stack(files: Path) -> Topology:
    return load_topology(written(files, STACK))


def contract_with(files: Path, stack: Topology, budgets: str = "") -> Contract:
    text = CONTRACT if not budgets else CONTRACT[: CONTRACT.index("  kill-node:")] + budgets
    return load_contract(written(files, text, "lab.contract.yml"), stack)


@pytest.fixture
def contract(files: Path, stack: Topology) -> Contract:
    return contract_with(files, stack)


def refused(
    stack: Topology, contract: Contract, names: tuple[str, ...], *targets: str, each: bool = False
) -> list[Problem]:
    with pytest.raises(BadInput) as caught:
        check_asked(stack, contract, names, targets, each)
    return caught.value.problems


def played(stack: Topology, contract: Contract, name: str, *targets: str, each: bool = False) -> Play:
    (found,) = plays(stack, contract, (name,), targets, each)
    assert not found.left_out
    return found


def unasked(stack: Topology, contract: Contract, *targets: str) -> dict[str, Play]:
    return {play.entry.name: play for play in plays(stack, contract, (), targets, each=False)}


@pytest.mark.parametrize(
    ("name", "target", "found", "expected"),
    [
        ("kill-node", "typo", "no node 'typo'", "one of eu-l4-1, rack, us-edge"),
        ("kill-node", "us-l71", "no node 'us-l71'", "did you mean 'us-l7-1'"),
        ("kill-node", "us-l7-1/envoy", "no node 'us-l7-1/envoy'", "did you mean 'us-l7-1'"),
        ("kill-l7", "eu-l4-1", "eu-l4-1, which has role l4", "for kill-l7 us-l7-1, or kill-node --target eu-l4-1"),
        ("kill-l7", "rack", "rack, which has no role", "or kill-node --target rack"),
        ("drain-l4", "us-l7-1", "us-l7-1, which has role l7", "for drain-l4 one of eu-l4-1, us-l4-1, us-l4-2"),
        ("crash-process", "us-l4-1", "nothing", "the processes that can fail"),
        ("kill-node", "us-client", "us-client, which is a client", "for kill-node one of eu-l4-1"),
        ("kill-region", "us-l4-1", "no region 'us-l4-1'", "one of eu, far, us"),
        ("kill-region", "far", "region far, in which there are only clients", "one of eu, us"),
        ("cut-link", "us-edge:eth77", "no link 'us-edge:eth77'", "us-edge:eth2–us-l4-1:eth1"),
        ("cut-link", "us-edgy:eth2", "no link 'us-edgy:eth2'", "did you mean 'us-edge'"),
        ("cut-link-silently", "us-client:eth9", "which is between two clients", "us-l4-1:eth2–us-l7-1:eth1"),
    ],
)  # fmt: skip
def test_a_target_that_does_not_fit_is_refused_with_the_nearest_right_name(
    stack: Topology, contract: Contract, name: str, target: str, found: str, expected: str
) -> None:
    (problem,) = refused(stack, contract, (name,), target)
    assert found in problem.found
    assert expected in problem.expected


def test_what_is_wrong_names_the_line_of_the_node_or_the_key_of_the_contract(
    stack: Topology, contract: Contract
) -> None:
    (problem,) = refused(stack, contract, ("kill-l7",), "eu-l4-1")
    assert (problem.file, problem.line, problem.field) == (stack.path, stack.nodes["eu-l4-1"].line, "--target")
    (problem,) = refused(stack, contract, ("crash-process",), "us-l4-1")
    assert (problem.file, problem.line, problem.field) == (contract.path, 5, "processes.l4")


@pytest.mark.parametrize(
    ("name", "field", "expected"),
    [
        ("drain-l7", "actions.l7.drain", "the command that makes a node drain"),
        ("withdraw-l4", "actions.l4.withdraw", "the command that makes a node withdraw"),
        ("kill-transit", "topology.nodes", "nospof.role: transit"),
    ],
)
def test_by_name_a_scenario_that_does_not_apply_is_refused_and_unasked_it_is_left_out(
    stack: Topology, contract: Contract, name: str, field: str, expected: str
) -> None:
    (problem,) = refused(stack, contract, (name,))
    assert problem.field == field
    assert expected in problem.expected
    left_out = unasked(stack, contract)[name].left_out
    assert left_out.startswith(f"{name} does not apply: ")
    assert expected in left_out


def test_all_problems_of_all_scenarios_and_targets_are_told_at_once(stack: Topology, contract: Contract) -> None:
    problems = refused(stack, contract, ("kill-l7", "kill-l4", "drain-l7"), "us-l7-1", "typo")
    assert sorted(problem.field for problem in problems) == ["--target"] * 4 + ["actions.l7.drain"]


def test_one_target_of_two_that_does_not_fit_ends_all(stack: Topology, contract: Contract) -> None:
    (problem,) = refused(stack, contract, ("kill-l4",), "us-l4-1", "us-l7-1")
    assert "us-l7-1" in problem.found


def test_each_beside_targets_is_refused(stack: Topology, contract: Contract) -> None:
    (problem,) = refused(stack, contract, ("kill-l4",), "us-l4-1", each=True)
    assert problem.field == "--each"


def test_targets_are_played_in_order_and_each_once_whatever_it_is_called(stack: Topology, contract: Contract) -> None:
    assert played(stack, contract, "kill-l4", "us-l4-2", "us-l4-1", "us-l4-2").targets == ("us-l4-2", "us-l4-1")
    assert played(stack, contract, "cut-link", "us-edge:eth2", "us-l4-1:eth1").targets == ("us-edge:eth2–us-l4-1:eth1",)
    assert played(stack, contract, "cut-link", "us-l7-1:eth1").targets == ("us-l4-1:eth2–us-l7-1:eth1",), "of any node"
    assert played(stack, contract, "kill-node", "rack").targets == ("rack",)


def test_a_node_of_any_role_stands_for_its_links_where_a_cut_is_asked_for(stack: Topology, contract: Contract) -> None:
    """Which of them is cut shows the traffic."""
    play = played(stack, contract, "cut-link", "us-l7-1")
    assert play.targets == ("us-l7-1",)
    assert list(map(str, named_links(stack, "us-l7-1"))) == ["us-l4-1:eth2–us-l7-1:eth1"]
    assert len(named_links(stack, "us-edge")) == 6
    assert played(stack, contract, "cut-link", "us-l7-1", "us-edge:eth2").targets == (
        "us-l7-1", "us-edge:eth2–us-l4-1:eth1",
    )  # fmt: skip


def test_each_is_every_candidate_and_without_a_target_they_are_what_to_choose_from(
    stack: Topology, contract: Contract
) -> None:
    nodes = ("rack", "eu-l4-1", "us-edge", "us-l4-1", "us-l4-2", "us-l7-1")
    assert played(stack, contract, "kill-node", each=True) == Play(ENTRIES["kill-node"], targets=nodes)
    assert played(stack, contract, "kill-node") == Play(ENTRIES["kill-node"], candidates=nodes)
    assert played(stack, contract, "crash-process", each=True).targets == ("us-l7-1",), "where a process is named"
    assert played(stack, contract, "kill-region", each=True).targets == ("eu", "us")
    links = played(stack, contract, "cut-link", each=True).targets
    assert [link.partition("–")[0] for link in links] == ["us-client:eth1", *(f"us-edge:eth{n}" for n in range(2, 7))]


def test_unasked_nothing_is_played_that_has_to_be_named(stack: Topology, contract: Contract) -> None:
    found = unasked(stack, contract)
    assert set(found) == {name for name, entry in ENTRIES.items() if not entry.only_named}
    assert found["kill-l4"].candidates == ("eu-l4-1", "us-l4-1", "us-l4-2")
    assert not found["kill-l4"].left_out


def test_unasked_a_target_is_taken_by_those_that_it_fits(stack: Topology, contract: Contract) -> None:
    found = unasked(stack, contract, "us-l7-1")
    assert {name for name, play in found.items() if play.targets} == {"crash-l7", "freeze-l7", "kill-l7"}
    assert all(play.left_out for play in found.values() if not play.targets)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("typo", "a node, a region or NODE:INTERFACE"), ("us-l4", "did you mean 'us-l4-"), ("rack", "kill-node --target rack")],
)  # fmt: skip
def test_unasked_a_target_that_fits_nothing_is_refused(
    stack: Topology, contract: Contract, target: str, expected: str
) -> None:
    (problem,) = refused(stack, contract, (), target)
    assert target in problem.found
    assert expected in problem.expected


@pytest.mark.parametrize(
    ("budgets", "left_out"),
    [
        ("  kill-region: not promised\n", {"kill-region"}),
        ("  kill-node/l7: not promised\n  kill-node: {new_fail: 1s}\n", {"kill-l7", "crash-l7", "freeze-l7"}),
        ("  kill-node: not promised\n  kill-node/l7: {new_fail: 1s}\n", {"kill-l4", "kill-region"} - {"kill-region"}),
        ("  cut-link: not promised\n", {"cut-link", "cut-link-silently"}),
        ("  cut-link/edge: not promised\n  cut-link: {new_fail: 1s}\n", {"cut-link", "cut-link-silently"}),
    ],
)
def test_what_is_not_promised_is_played_only_by_name(
    files: Path, stack: Topology, budgets: str, left_out: set[str]
) -> None:
    contract = contract_with(files, stack, budgets)
    found = {play.entry.name for play in unasked(stack, contract).values() if "not promised" in play.left_out}
    assert found == left_out
    for name in left_out:
        assert played(stack, contract, name).candidates


def test_of_links_those_stay_whose_other_end_is_promised_something(files: Path, stack: Topology) -> None:
    contract = contract_with(files, stack, "  cut-link: not promised\n  cut-link/l4: {new_fail: 1s}\n")
    assert [link.rpartition("–")[2] for link in unasked(stack, contract)["cut-link"].candidates] == [
        "us-l4-1:eth1", "us-l4-2:eth1", "eu-l4-1:eth1"
    ]  # fmt: skip


@given(names=st.sets(st.sampled_from(sorted(ENTRIES))), each=st.booleans(), data=st.data())
def test_whatever_is_asked_for_is_played_as_asked_or_refused(
    stack: Topology, files: Path, names: set[str], each: bool, data: st.DataObject
) -> None:
    contract = contract_with(files, stack)
    known = [*stack.nodes, *stack.regions(), *map(str, stack.links), "typo"]
    targets = data.draw(st.lists(st.sampled_from(known), max_size=3))
    try:
        found = plays(stack, contract, names, targets, each)
    except BadInput:
        return
    assert not (targets and each)
    for play in found:
        assert bool(play.left_out) != bool(play.targets or play.candidates)
        assert not (names and play.left_out), "who is asked by name is played or refused"
        for element in (*play.targets, *play.candidates):
            play.entry.fits(stack, contract, element)
    if names:
        assert {play.entry.name for play in found} == names
        assert all(len(play.targets) == len(set(targets)) for play in found if targets)


def test_every_scenario_says_the_class_of_its_fault() -> None:
    assert all(entry.fault in CLASSES for entry in ENTRIES.values())
