"""The generic scenarios by name: what each breaks, which elements it is aimed at, in which order. Knows no lab and no pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scenarios.targets import (
    CLIENT,
    can_fail,
    default_link,
    default_node,
    default_region,
    named_link,
    named_links,
    named_node,
    named_region,
    nobody,
    ordered_links,
    ordered_nodes,
    ordered_regions,
    with_role,
)
from topologies.contract import Contract
from topologies.lines import line_of
from topologies.model import Link, Topology
from topologies.problems import BadInput, Problem, one_of

Needs = Literal["", "process", "drain", "withdraw"]
"""What of a contract a fault cannot do without: a process, or an action, that it names for the role."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A scenario: its name, a title for reports, the kind of its target and the role that a node must have; without one, any will do
    but a client. Of a link, `role` is where a default is taken from: it may be aimed at every one.

    `fault` is its class in a contract's budgets. `only_named`: it is played only where somebody asks for it by name.
    """

    name: str
    title: str
    kind: Literal["node", "link", "region"]
    role: str = ""
    fault: str = ""
    needs: Needs = ""
    only_named: bool = False

    @property
    def test(self) -> str:
        """The name of its test function."""
        return "test_" + self.name.replace("-", "_")

    def candidates(self, topology: Topology, contract: Contract) -> tuple[str, ...]:
        """Every element that it is aimed at where nobody names one, in the order in which a default is looked for."""
        if self.kind == "region":
            return ordered_regions(topology)
        if self.kind == "link":
            return tuple(map(str, ordered_links(topology, self.role)))
        nodes = ordered_nodes(topology, self.role)
        return tuple(name for name in nodes if self._lacks(contract, topology.nodes[name].role) is None)

    def fits(self, topology: Topology, contract: Contract, target: str) -> None:
        """Raises BadInput where it cannot be aimed at that element, with the nearest right name."""
        if self.kind == "region":
            self._fits_region(topology, target)
        elif self.kind == "link":
            self._fits_link(topology, target)
        else:
            self._fits_node(topology, contract, target)

    def applies(self, topology: Topology, contract: Contract) -> None:
        """Raises BadInput where the stack has no element that it could be aimed at."""
        if self.candidates(topology, contract):
            return
        if self.kind == "region":
            raise BadInput([nobody(topology, "nodes with the label nospof.region")])
        nodes = ordered_nodes(topology, self.role)
        if self.kind == "link":
            missing = f"a link at {one_of(nodes)}" if nodes else with_role(self.role)
            raise BadInput([nobody(topology, f"{missing}, or --target NODE:INTERFACE")])
        if not nodes:
            raise BadInput([nobody(topology, with_role(self.role))])
        lacking = self._lacks(contract, self.role or None)
        assert lacking is not None, "else the node would be a candidate"
        raise BadInput([lacking])

    def called(self, topology: Topology, target: str) -> str:
        """The one name of what was named: a link has several. Raises BadInput for a link that is not there."""
        if self.kind == "link" and target not in topology.nodes:
            return str(named_link(topology, target))
        return target

    def promised(self, topology: Topology, contract: Contract, target: str) -> bool:
        """Whether the contract does not say `not promised` of it there. At a link, the end with a budget for its role speaks first."""
        if self.kind == "link":
            links = named_links(topology, target)
            roles = tuple(dict.fromkeys(topology.nodes[end.node].role for link in links for end in link.endpoints))
        else:
            roles = (topology.nodes[target].role,) if self.kind == "node" else (None,)
        found = [judging for role in roles if (judging := contract.judged_by(self.fault, role)) is not None]
        denied = [judging for judging in found if judging.budget.not_promised]
        return not denied or (len(denied) < len(found) and not any("/" in judging.name for judging in denied))

    # -- why not ---------------------------------------------------------------------------------------------------

    def _lacks(self, contract: Contract, role: str | None) -> Problem | None:
        """What a contract does not say of a role, though nothing can be done without it."""
        if self.needs == "process":
            where: tuple[str, ...] = ("processes", role) if role else ("processes",)
            given: object = contract.processes.get(role or "")
            expected = "the processes that can fail, such as [envoy]"
        elif self.needs:
            where = ("actions", role or "", self.needs)
            given = contract.action(role or "", self.needs)
            expected = f"the command that makes a node {self.needs}"
        else:
            return None
        return (
            None
            if given
            else Problem(contract.path, line_of(contract.path, *where), ".".join(where), "nothing", expected)
        )

    def _fits_node(self, topology: Topology, contract: Contract, target: str) -> None:
        right = self.candidates(topology, contract)
        node = topology.nodes[named_node(topology, target, right)]
        found = f"{target}, which is a client" if node.role == CLIENT else ""
        if not found and self.role and node.role != self.role:
            found = f"{target}, which has {f'role {node.role}' if node.role else 'no role'}"
        if found:
            named = [f"for {self.name} {one_of(right)}"] if right else []
            expected = ", or ".join([*named, *self._instead(topology, contract, target)]) or with_role(self.role)
            raise BadInput([Problem(topology.path, node.line, "--target", found, expected)])
        if (lacking := self._lacks(contract, node.role)) is not None:
            raise BadInput([lacking])

    def _instead(self, topology: Topology, contract: Contract, target: str) -> list[str]:
        """Another scenario that does the same to that node, one for any role first."""
        akin = [e for e in ENTRIES.values() if e.fault == self.fault and e.kind == "node" and e.name != self.name]
        able = [e for e in sorted(akin, key=lambda e: e.role) if target in e.candidates(topology, contract)]
        return [f"{able[0].name} --target {target}"] if able else []

    def _fits_link(self, topology: Topology, target: str) -> None:
        link = named_links(topology, target)[0]
        if not can_fail(topology, link):
            right = one_of([str(one) for one in topology.links if can_fail(topology, one)])
            raise BadInput(
                [Problem(topology.path, link.line, "--target", f"{link}, which is between two clients", right)]
            )

    def _fits_region(self, topology: Topology, target: str) -> None:
        right = ordered_regions(topology)
        if named_region(topology, target) not in right:
            expected = one_of(right) if right else "a region with a node that is no client"
            raise BadInput(
                [Problem(topology.path, 0, "--target", f"region {target}, in which there are only clients", expected)]
            )

    # -- the element itself ----------------------------------------------------------------------------------------

    def node(self, topology: Topology, target: str | None) -> str:
        """The node to break. Raises BadInput where there is none, or where it has to be named."""
        if self.only_named and not target:
            raise BadInput([Problem(topology.path, 0, "--target", "nothing", f"the node of {self.name}")])
        return named_node(topology, target) if target else default_node(topology, self.role)

    def link(self, topology: Topology, target: str | None) -> Link:
        """The link to break. Raises BadInput where there is none."""
        return named_link(topology, target) if target else default_link(topology, self.role)

    def region(self, topology: Topology, target: str | None) -> str:
        """The region to break. Raises BadInput where there is none."""
        return named_region(topology, target) if target else default_region(topology)


ENTRIES: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("drain-l4", "Drain of an L4 node", "node", "l4", "drain", "drain"),
        Entry("withdraw-l4", "Withdrawal by an L4 node", "node", "l4", "withdraw", "withdraw"),
        Entry("kill-l4", "Silent kill of an L4 node", "node", "l4", "kill-node"),
        Entry("drain-l7", "Drain of an L7 node", "node", "l7", "drain", "drain"),
        Entry("crash-l7", "Crash of an L7 node's process", "node", "l7", "crash-process", "process"),
        Entry("freeze-l7", "Freeze of an L7 node's process", "node", "l7", "freeze-process", "process"),
        Entry("kill-l7", "Silent kill of an L7 node", "node", "l7", "kill-node"),
        Entry("cut-link", "Link cut, with loss of carrier", "link", "edge", "cut-link"),
        Entry("cut-link-silently", "Link cut silently", "link", "edge", "cut-link"),
        Entry("kill-transit", "Silent kill of a transit", "node", "transit", "kill-node"),
        Entry("kill-region", "Silent kill of a region", "region", fault="kill-region"),
        Entry("kill-node", "Silent kill of a node", "node", fault="kill-node", only_named=True),
        Entry(
            "crash-process",
            "Crash of a node's process",
            "node",
            fault="crash-process",
            needs="process",
            only_named=True,
        ),
        Entry(
            "freeze-process",
            "Freeze of a node's process",
            "node",
            fault="freeze-process",
            needs="process",
            only_named=True,
        ),
    )
}
