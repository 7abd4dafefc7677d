"""Which ways the probe flows took before, during and after a fault: pure, from what taps saw. It knows no lab and no budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from reports.evidence.schema import Moment, Path
from topologies.linux.wire import Flow
from topologies.linux.wired import Crossing
from topologies.model import Link

Hops = set[tuple[str, str]]
MOST_HOPS = 32
"""A flow that was seen on more links than this took no single way."""


def ways(
    vantages: Mapping[Flow, str],
    touched: Collection[Flow],
    before: Collection[Crossing],
    after: Iterable[Crossing],
    failed: Collection[str],
    cut: Sequence[Link],
) -> tuple[Path, ...]:
    """How many flows went over which hop at each moment. `vantages` names the vantage of each probe flow, as it leaves its
    client; answers count with it. `during` is how far the touched flows still came on the old way."""
    old = _hops(vantages, before)
    severed = _hops(vantages, [c for c in before if c.over(cut)])
    during = {
        flow: _until(hops, vantages[flow], failed, severed.get(flow, ()))
        for flow, hops in _forward(vantages, old).items()
        if flow in touched
    }
    return (
        *_counted("before", vantages, old),
        *_counted("during", vantages, during),
        *_counted("after", vantages, _hops(vantages, after)),
    )


def routes(vantages: Mapping[Flow, str], crossings: Iterable[Crossing]) -> dict[Flow, tuple[str, ...]]:
    """The nodes that each probe flow's packets passed, in order, its vantage first; flows are left out whose hops make no
    single way, since they moved while the taps looked."""
    found = _forward(vantages, _hops(vantages, crossings))
    return {flow: way for flow, hops in found.items() if (way := _trail(hops, vantages[flow]))}


def _trail(hops: Hops, start: str) -> tuple[str, ...]:
    """All of these hops one after another, each once; empty where they cannot be taken so."""

    def onward(at: str, left: frozenset[tuple[str, str]]) -> tuple[str, ...] | None:
        if not left:
            return ()
        for hop in sorted(left):
            if hop[0] == at and (rest := onward(hop[1], left - {hop})) is not None:
                return (hop[1], *rest)
        return None

    found = onward(start, frozenset(hops)) if len(hops) <= MOST_HOPS else None
    return (start, *found) if found else ()


def _hops(vantages: Mapping[Flow, str], crossings: Iterable[Crossing]) -> dict[Flow, Hops]:
    """Every probe flow's hops, and under its reverse those of its answers."""
    found: dict[Flow, Hops] = defaultdict(set)
    for c in crossings:
        if c.flow in vantages or c.flow.reversed() in vantages:
            found[c.flow].add((c.sender, c.receiver))
    return found


def _forward(vantages: Mapping[Flow, str], hops: Mapping[Flow, Hops]) -> dict[Flow, Hops]:
    return {flow: h for flow, h in hops.items() if flow in vantages}


def _until(hops: Hops, start: str, failed: Collection[str], severed: Collection[tuple[str, str]]) -> Hops:
    """The hops from `start` on, up to and with the first into a failed node or over a cut link, which are `severed`."""
    passed: Hops = set()
    at = start
    while True:
        following = [hop for hop in hops if hop[0] == at and hop not in passed]
        if not following:
            return passed
        hop = min(following)
        passed.add(hop)
        if hop[1] in failed or hop in severed:
            return passed
        at = hop[1]


def _counted(moment: Moment, vantages: Mapping[Flow, str], hops: Mapping[Flow, Hops]) -> list[Path]:
    flows: dict[tuple[str, str, str], int] = defaultdict(int)
    for flow, taken in hops.items():
        vantage = vantages.get(flow) or vantages[flow.reversed()]
        for a, b in taken:
            flows[vantage, a, b] += 1
    return [Path(moment=moment, vantage=v, a=a, b=b, flows=n) for (v, a, b), n in sorted(flows.items())]
