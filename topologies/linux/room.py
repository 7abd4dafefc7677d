"""How large a lab the wires' maps hold, and the refusal of a larger one. Pure; wire.bpf.c is the kernel's side."""

from __future__ import annotations

from topologies.linux.ends import FIRST_INDEX
from topologies.model import Topology
from topologies.problems import BadInput, Problem

MOST_NUMBERS = {"nodes": 1024, "cut_frames": 1024, "ends": 4096, "bfd_last": 4096}
"""Map → how many numbers of nodes or of ends it has a place for."""
MOST_NODES = MOST_NUMBERS["nodes"] - 1  # one more is the management network's own
MOST_ENDS = MOST_NUMBERS["ends"] - FIRST_INDEX


def refuse_larger(topology: Topology) -> None:
    """Raises BadInput for a lab that has more nodes or ends of links than there are places: a cut of the rest would cut nothing."""
    managed = len(topology.mgmt.addresses) if topology.mgmt else 0
    links = len(topology.links) + managed
    problems = []
    if len(topology.nodes) > MOST_NODES:
        last = list(topology.nodes.values())[MOST_NODES]
        expected = f"at most {MOST_NODES:,}: the wires know no more"
        problems.append(Problem(topology.path, last.line, "topology.nodes", f"{len(topology.nodes):,} nodes", expected))
    if 2 * links > MOST_ENDS:
        found = f"{links:,} links" + (f", {managed:,} of them to the management network" if managed else "")
        expected = f"at most {MOST_ENDS // 2:,}: the wires know no more ends"
        line = topology.links[MOST_ENDS // 2].line if len(topology.links) > MOST_ENDS // 2 else 0
        problems.append(Problem(topology.path, line, "topology.links", found, expected))
    if problems:
        raise BadInput(problems)
