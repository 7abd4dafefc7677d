"""To plan a fault asks the lab for its topology and for nothing else: whatever is broken is broken when it is injected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from scenarios.faults.base import Fault
from scenarios.faults.crash_process import crash_process
from scenarios.faults.cut_link import cut_link
from scenarios.faults.freeze_process import freeze_process
from scenarios.faults.kill_node import kill_node
from scenarios.faults.kill_region import kill_region
from tests.topologies.files import small_topology

CHAIN = small_topology("client", "l4")
TOPOLOGY = replace(
    CHAIN, nodes={n: replace(node, labels={**node.labels, "nospof.region": "eu"}) for n, node in CHAIN.nodes.items()}
)
PLANS: dict[str, Callable[[Any], Fault]] = {
    "kill-node": lambda lab: kill_node(lab, "l41"),
    "kill-region": lambda lab: kill_region(lab, "eu"),
    "cut-link": lambda lab: cut_link(lab, TOPOLOGY.links[0], carrier_lost=True),
    "cut-link-silently": lambda lab: cut_link(lab, TOPOLOGY.links[0], carrier_lost=False),
    "crash-process": lambda lab: crash_process(lab, SimpleNamespace(processes={"l4": ["agent"]}), "l41", "agent"),  # type: ignore[arg-type]
    "freeze-process": lambda lab: freeze_process(lab, SimpleNamespace(processes={"l4": ["agent"]}), "l41", "agent"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", PLANS)
def test_planning_touches_nothing(name: str) -> None:
    lab = SimpleNamespace(topology=TOPOLOGY)  # whatever else is asked of it is an AttributeError
    assert PLANS[name](lab).plan.fault == name.removesuffix("-silently")
