"""Whether the stack serves as it did in the first control window: next hops to VIPs, and processes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from scenarios.next_hops import holds, next_hops


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the first control window of a run showed of routers that forwarded a VIP, and of the contract's processes.

    `fewest`: (node, VIP) → the fewest next hops seen; `held`: which nodes had the address themselves; `processes`: node → names.
    """

    fewest: Mapping[tuple[str, str], int] = field(default_factory=dict)
    held: frozenset[tuple[str, str]] = frozenset()
    processes: Mapping[str, frozenset[str]] = field(default_factory=dict)


def baseline(
    looks: Iterable[Mapping[str, frozenset[str]]],
    forwarding: Collection[str],
    vips: Collection[str],
    processes: Mapping[str, frozenset[str]],
) -> Baseline:
    """From some looks at the nodes' snapshots: who of the `forwarding` ones had how many next hops to each VIP at least."""
    fewest: dict[tuple[str, str], int] = {}
    held: set[tuple[str, str]] = set()
    for look in looks:
        for node, lines in look.items():
            held |= {(node, vip) for vip in vips if holds(lines, vip)}
            if node not in forwarding:
                continue
            found = next_hops(lines, vips)
            for vip in vips:
                hops = len(found.get(vip, ()))
                fewest[node, vip] = min(hops, fewest.get((node, vip), hops))
    return Baseline({key: hops for key, hops in fewest.items() if hops and key not in held}, frozenset(held), processes)


def lacking(before: Baseline, node: str, lines: frozenset[str], running: Collection[str]) -> str:
    """What a node does not have that it had; empty when it lacks nothing. An address that has moved to it is legal."""
    found = next_hops(lines, {vip for at, vip in before.fewest if at == node})
    for (at, vip), fewest in before.fewest.items():
        hops = len(found.get(vip, ()))
        if at == node and hops < fewest and not holds(lines, vip):
            ways = "way" if fewest == 1 else "ways"
            return f"{node} has {hops} of {fewest} {ways} to {vip}"
    # the kernel keeps the first 15 bytes of a name, and a contract has all of it
    known = {name[:15] for name in running}
    dead = sorted(name for name in before.processes.get(node, ()) if name[:15] not in known)
    return f"{', '.join(dead)} does not run in {node}" if dead else ""


def moved(before: Baseline, now: Mapping[str, frozenset[str]], vips: Collection[str]) -> list[str]:
    """Which addresses are at other nodes than in the first control window, a sentence each: legal, and told."""
    said = []
    for vip in vips:
        then = {node for node, at in before.held if at == vip}
        here = {node for node, lines in now.items() if holds(lines, vip)}
        if then and here - then:
            said.append(f"{vip} is at {', '.join(sorted(here))} now; it was at {', '.join(sorted(then))}.")
    return said
