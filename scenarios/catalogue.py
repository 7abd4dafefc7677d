"""The generic scenarios by name: what each breaks, and which element it takes when nobody says. Knows no lab and no pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scenarios.targets import default_link, default_node, default_region, named_link, named_node, named_region
from topologies.model import Link, Topology


@dataclass(frozen=True, slots=True)
class Entry:
    """A scenario: its name, a title for reports, the kind of its target and the role from which a default is taken."""

    name: str
    title: str
    kind: Literal["node", "link", "region"]
    role: str = ""

    @property
    def test(self) -> str:
        """The name of its test function."""
        return "test_" + self.name.replace("-", "_")

    def node(self, topology: Topology, target: str | None) -> str:
        """The node to break. Raises BadInput where there is none."""
        return named_node(topology, target) if target else default_node(topology, self.role)

    def link(self, topology: Topology, target: str | None) -> Link:
        """The link to break. Raises BadInput where there is none."""
        return named_link(topology, target) if target else default_link(topology, self.role)

    def region(self, topology: Topology, target: str | None) -> str:
        """The region to break. Raises BadInput where there is none."""
        return named_region(topology, target) if target else default_region(topology)

    def check(self, topology: Topology, target: str | None) -> None:
        """Raises BadInput when the target cannot be found."""
        {"node": self.node, "link": self.link, "region": self.region}[self.kind](topology, target)


ENTRIES: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("drain-l4", "Drain of an L4 node", "node", "l4"),
        Entry("withdraw-l4", "Withdrawal by an L4 node", "node", "l4"),
        Entry("kill-l4", "Silent kill of an L4 node", "node", "l4"),
        Entry("drain-l7", "Drain of an L7 node", "node", "l7"),
        Entry("crash-l7", "Crash of an L7 node's process", "node", "l7"),
        Entry("freeze-l7", "Freeze of an L7 node's process", "node", "l7"),
        Entry("kill-l7", "Silent kill of an L7 node", "node", "l7"),
        Entry("cut-link", "Link of an edge cut, with loss of carrier", "link", "edge"),
        Entry("cut-link-silently", "Link of an edge cut silently", "link", "edge"),
        Entry("kill-transit", "Silent kill of a transit", "node", "transit"),
        Entry("kill-region", "Silent kill of a region", "region"),
    )
}
