"""A made-up lab shaped like the reference: three regions of a client, a transit, edges, L4, L7, apps and a control node.

It knows names only; which paths probes take through it is told from a plan.
"""

from __future__ import annotations

import itertools
from collections import Counter

from reports.evidence.schema import Moment, Path, Topology, TopologyLink, TopologyNode, TopologyService
from tests.reports.made.plans import REGIONS, VANTAGES, Plan

_SINGLE = ("client", "transit", "control")
_PAIRS = ("edge", "l4", "l7", "app")


def topology() -> Topology:
    nodes = [
        TopologyNode(name=name, kind="linux", role=role, region=region)
        for region in REGIONS
        for role, name in (
            *((role, f"{region}-{role}") for role in _SINGLE),
            *((role, f"{region}-{role}-{n}") for role in _PAIRS for n in (1, 2)),
        )
    ]
    ends: list[tuple[str, str]] = list(itertools.combinations((f"{region}-transit" for region in REGIONS), 2))
    for at, region in enumerate(REGIONS):
        edges = [f"{region}-edge-{n}" for n in (1, 2)]
        ends += [(f"{region}-transit", edge) for edge in edges]
        below = [*(f"{region}-{role}-{n}" for role in ("l4", "l7") for n in (1, 2)), f"{region}-control"]
        ends += [(edge, one) for one in below for edge in edges]
        ends += [(f"{region}-l7-{n}", f"{region}-app-{m}") for n in (1, 2) for m in (1, 2)]
        ends += [(f"{region}-client", f"{region}-transit"), (f"{region}-client", f"{REGIONS[(at + 1) % 3]}-transit")]
    used: Counter[str] = Counter()
    links = []
    for a, b in ends:
        used[a] += 1
        used[b] += 1
        links.append(TopologyLink(a=a, a_if=f"eth{used[a]}", b=b, b_if=f"eth{used[b]}", mtu=1500))
    services = (
        TopologyService(name="web", vip=("203.0.113.10", "2001:db8:f::10"), port=80, protocol="http"),
        TopologyService(name="echo", vip=("203.0.113.20", "2001:db8:f::20"), port=7, protocol="udp"),
    )
    return Topology(
        name="reference", nodes=tuple(nodes), links=tuple(links), services=services, digest="sha256:91c4d0e2a7b35f68"
    )


def paths(plan: Plan, flows: int = 100) -> tuple[Path, ...]:
    """Where the flows of each vantage went: round what was broken once it was over."""
    if not plan.seen_paths:
        return ()
    moments: tuple[Moment, ...] = ("before", "during", "after")
    found: list[Path] = []
    for moment in moments:
        for vantage in VANTAGES:
            hit = vantage == plan.hit
            hops: Counter[tuple[str, str]] = Counter()
            for n in range(flows):
                hops.update(itertools.pairwise(_way(plan, moment if hit else "before", vantage, n)))
            found += [Path(moment=moment, vantage=vantage, a=a, b=b, flows=size) for (a, b), size in hops.items()]
    return tuple(found)


def _way(plan: Plan, moment: Moment, vantage: str, n: int) -> list[str]:
    region = vantage.removesuffix("-client")
    link = [end.split(":")[0] for one in plan.links for end in one.split("–")]
    gone = set(plan.nodes)
    if moment == "after" and (f"{region}-transit" in gone):
        region = REGIONS[(REGIONS.index(region) + 1) % 3]

    def one_of(role: str, choice: int) -> str:
        name = f"{region}-{role}-{choice % 2 + 1}"
        dead = name in gone or name in link
        return f"{region}-{role}-{2 - choice % 2}" if moment == "after" and dead else name

    edge, l4, l7 = one_of("edge", n), one_of("l4", n // 2), one_of("l7", n // 4)
    way = [vantage, f"{region}-transit", edge, l4, edge, l7, one_of("edge", n + 1), f"{region}-transit", vantage]
    if moment != "during":
        return way
    cut = next((at for at, name in enumerate(way) if name in gone), None)
    if link and way[1:3] == link:
        cut = 2
    return way if cut is None else way[: cut + 1]
