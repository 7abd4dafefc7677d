"""A pair that is well-formed but could not be measured is refused before anything is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topologies.files import CONTRACT, GOOD, contract_of, small_topology, written
from topologies.check import check, load_checked, missing_roles
from topologies.problems import BadInput


def test_a_good_pair_has_no_problem(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    written(tmp_path, CONTRACT, "lab.contract.yml")
    topology, contract = load_checked(path)
    assert (topology.name, list(contract.services)) == ("lab", ["web", "echo"])


def test_the_contract_may_be_named(tmp_path: Path) -> None:
    contract = written(tmp_path, CONTRACT, "other.yml")
    assert load_checked(written(tmp_path, GOOD), contract)[1].path == contract


def test_without_a_client_there_is_no_vantage(tmp_path: Path) -> None:
    (problem,) = check(small_topology("l4", "l7"), contract_of(tmp_path))
    assert problem.expected == "a node with the label nospof.role: client"
    assert problem.found == "only the roles l4, l7"


def test_without_a_serving_node_nothing_answers(tmp_path: Path) -> None:
    (problem,) = check(small_topology("client", "transit"), contract_of(tmp_path))
    assert "something has to serve the VIPs" in problem.expected


def test_a_client_without_a_path_to_a_serving_node_is_named_with_its_line(tmp_path: Path) -> None:
    chain = small_topology("client", "transit", "l4")
    cut = type(chain)(chain.name, chain.path, chain.prefix, chain.nodes, chain.links[1:])
    (problem,) = check(cut, contract_of(tmp_path))
    assert (problem.field, problem.line) == ("topology.nodes.client0", 1)
    assert check(chain, contract_of(tmp_path)) == []


def test_a_region_budget_needs_regions(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, CONTRACT.replace("  drain: {", "  kill-region: {"))
    (problem,) = check(small_topology("client", "l4"), contract)
    assert problem.field == "budgets.kill-region"


@pytest.mark.parametrize(("name", "what"), [("kill-region", "regions"), ("kill-domain", "domains")])
def test_what_is_not_promised_of_regions_and_domains_needs_none(tmp_path: Path, name: str, what: str) -> None:
    text = CONTRACT.replace("  drain: {black_hole: 0ms, broken: 0}", f"  {name}: not promised")
    assert check(small_topology("client", "l4"), contract_of(tmp_path, text)) == []
    (problem,) = check(
        small_topology("client", "l4"), contract_of(tmp_path, text.replace("not promised", "{broken: 0}"))
    )
    assert (problem.field, problem.found) == (f"budgets.{name}", f"a topology without {what}")


def test_roles_that_a_scenario_needs_are_named_one_by_one() -> None:
    topology = small_topology("client", "l4")
    assert missing_roles(topology, ["client", "l4"]) == []
    assert [problem.expected.rsplit(" ", 1)[1] for problem in missing_roles(topology, ["l4", "l7", "dns"])] == [
        "l7",
        "dns",
    ]


def test_a_pair_that_cannot_be_measured_raises(tmp_path: Path) -> None:
    written(tmp_path, CONTRACT, "lab.contract.yml")
    with pytest.raises(BadInput, match=r"nospof\.role: client"):
        load_checked(written(tmp_path, GOOD.replace("nospof.role: client", "nospof.role: edge")))
