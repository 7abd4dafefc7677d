"""What containerlab has made, taken into our hands: namespaces held, link ends found, wires put on them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pyroute2 import IPRoute

from topologies.linux import links, netns
from topologies.linux.ends import End, ends_of
from topologies.linux.links import BASE_SYSCTLS
from topologies.linux.netns import inside
from topologies.linux.state import Places
from topologies.model import Topology
from topologies.runtime import RuntimeFailure


def hold(places: Places, node: str, pid: int) -> None:
    """Keeps the namespace of a node's first process for as long as we want, whatever becomes of the process."""
    path = places.netns(node)
    path.parent.mkdir(parents=True, exist_ok=True)
    places.bundle(node).mkdir(parents=True, exist_ok=True)
    netns.hold(path, Path(f"/proc/{pid}/ns/net"))
    places.pid(node).write_text(str(pid))
    with contextlib.suppress(OSError):  # a node may have taken IPv6 away from itself
        links.write_sysctls(path, BASE_SYSCTLS)


def find_ends(topology: Topology, places: Places) -> dict[str, list[End]]:
    """Node → its link ends with the indices and MACs that they have, and numbers that are unique in the lab."""
    return {node: found_ends(places.netns(node), ends) for node, ends in ends_of(topology).items()}


def found_ends(namespace: Path, expected: Sequence[End]) -> list[End]:
    """The ends as the kernel has them. Raises RuntimeFailure naming one that is not there."""

    def body() -> Mapping[str, tuple[int, str]]:
        with IPRoute() as rtnl:
            return {
                str(link.get_attr("IFLA_IFNAME")): (int(link["index"]), str(link.get_attr("IFLA_ADDRESS")))
                for link in rtnl.get_links()
            }

    try:
        there = inside(namespace, body)
    except OSError as error:
        raise RuntimeFailure(f"{namespace.name}: its interfaces cannot be read: {error}") from error
    ends = []
    for end in expected:
        if end.interface not in there:
            raise RuntimeFailure(f"node {end.node} has no interface {end.interface}; it has {', '.join(there)}")
        index, mac = there[end.interface]
        ends.append(replace(end, index=index, mac=mac, label=end.number))
    return ends


def move(places: Places, ends: Sequence[End], pid: int) -> None:
    """The link ends of a dead node into the namespace of its new first process."""
    if not ends:
        return
    node = ends[0].node
    with Path(f"/proc/{pid}/ns/net").open("rb") as handle:

        def body() -> None:
            with IPRoute() as rtnl:
                for end in ends:
                    rtnl.link("set", index=end.index, net_ns_fd=handle.fileno())

        inside(places.netns(node), body)
