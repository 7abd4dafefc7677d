"""Whether the stack serves again as it did, once what was done to it is undone. It asks; serving.py decides."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from scenarios.bench import STEADY_NS, Bench
from scenarios.losses import Losses
from scenarios.serving import lacking, moved
from scenarios.steady import Stillness
from scenarios.timers.reading import programs

NODES_PER_LOOK = 12
STILL_NS = 1_500_000_000  # so long before the quiet is over routes are looked at: they have to be still for 1 s


@dataclass
class Back:
    """Whether the stack serves as before, loss as at rest included. `since_ns`: since when it has, its quiet not counted."""

    bench: Bench
    losses: Losses
    heal_ns: int
    quiet_ns: int
    since_ns: int = 0
    _pending: list[str] = field(default_factory=list)
    _lacking: str = ""
    _node: str = ""
    _whole_ns: int = 0
    _lacked: bool = False

    def __post_init__(self) -> None:
        self._pending = list(self.bench.booted.topology.nodes)
        self.since_ns = self.heal_ns
        self._still = Stillness(self.bench.booted.lab)

    def missing(self) -> str:
        """Empty when it serves as before and has been quiet; else what is missing."""
        if left := self._lacks():
            self._whole_ns = 0
            return left
        now = time.monotonic_ns()
        self._whole_ns = self._whole_ns or now
        seen = self.losses.since(self.heal_ns, now).seen
        last_ns = seen.last_loss_ns
        self.since_ns = max(last_ns, self._whole_ns if self._lacked else self.heal_ns)
        quiet_ns = self.quiet_ns + seen.settle_ns
        left_ns = quiet_ns - (seen.now_ns - max(self.heal_ns, last_ns))
        moving = self._still.missing() if left_ns < STILL_NS else ""
        if left_ns > 0:
            return f"no {self.quiet_ns / 1e9:g} s without loss yet"
        instruments = self.bench.instruments
        # where there is loss at rest, the last second may have some
        unsteady = instruments.unfilled() if self.losses.at_rest else instruments.unsteady(now - STEADY_NS)
        return unsteady or moving or self._lacks_at_the_end()

    def _lacks(self) -> str:
        """A few nodes at each look, and each until it lacks nothing: a look at thousands of routes takes CPU that the lab needs."""
        before, lab = self.bench.baseline, self.bench.booted.lab
        if before is None:
            return ""
        for node in self._pending[:NODES_PER_LOOK]:
            names = set(lab.pids(node).values()) if node in before.processes else set()
            if left := lacking(before, node, lab.snapshot(node), names):
                self._lacking, self._node, self._lacked = left, node, True
                return left
            self._pending.remove(node)
        return f"{len(self._pending)} nodes were not looked at yet" if self._pending else ""

    def _lacks_at_the_end(self) -> str:
        """Every node once more: a process may have died again since it was looked at, a session may have fallen."""
        before, lab, nodes = self.bench.baseline, self.bench.booted.lab, list(self.bench.booted.topology.nodes)
        if before is None:
            return ""
        running, lines = programs(lab), lab.snapshots(nodes)
        for node in nodes:
            if left := lacking(before, node, lines[node], running[node]):
                self._pending, self._lacking, self._node, self._lacked = [node], left, node, True
                self._whole_ns = 0
                return left
        return ""

    def moved(self) -> list[str]:
        """Addresses that came to other nodes than they were at."""
        before, lab = self.bench.baseline, self.bench.booted.lab
        if before is None or not before.held:
            return []
        return moved(before, lab.snapshots(list(lab.topology.nodes)), self.bench.vips)

    def last_words(self) -> str:
        """What is lacking and what the node said last; empty where nothing is."""
        if not self._node or not self._pending:
            return ""
        lines = self.bench.booted.lab.log(self._node).strip().splitlines()[-1:]
        said = f"; it said last: {lines[0][:200]}" if lines else ""
        return f"{self._lacking}{said}"
