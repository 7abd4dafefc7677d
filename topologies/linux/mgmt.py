"""A lab's management network in the kernel: a bridge in a namespace of its own, and eth0 in every node that is on it."""

from __future__ import annotations

from collections.abc import Mapping

from pyroute2 import IPRoute

from topologies.linux import links, netns
from topologies.linux.ends import FIRST_INDEX, End, mac_of
from topologies.linux.netns import inside
from topologies.linux.state import Places
from topologies.management import INTERFACE, Address, Management
from topologies.model import Topology

HOUSE = ".mgmt"  # the bridge's namespace; no node is called so
BRIDGE = "mgmt"
BRIDGE_INDEX = FIRST_INDEX - 1


def mgmt_pairs(topology: Topology) -> list[tuple[End, End]]:
    """For each node of the network its end and the bridge's, with indices behind those of the links."""
    pairs = []
    first_index = FIRST_INDEX + 2 * len(topology.links)
    for number, node in enumerate(topology.mgmt.addresses if topology.mgmt else ()):
        ours = f"port{number}"
        mtu, index = topology.mgmt.mtu if topology.mgmt else 0, first_index + 2 * number
        end = End(node, INTERFACE, index, mtu, mac_of(topology.name, node, INTERFACE))
        pairs.append((end, End(HOUSE, ours, index + 1, mtu, mac_of(topology.name, HOUSE, ours))))
    return pairs


def build_house(topology: Topology, places: Places) -> None:
    """The bridge with the gateway's addresses, in a namespace that forwards nothing. Raises OSError."""
    assert topology.mgmt
    netns.create(places.netns(HOUSE))
    gateways = topology.mgmt.gateways

    def body() -> None:
        with IPRoute() as rtnl:
            rtnl.link("add", ifname=BRIDGE, kind="bridge", index=BRIDGE_INDEX)
            rtnl.link("set", index=BRIDGE_INDEX, state="up")
            _give(rtnl, BRIDGE_INDEX, gateways)

    links.write_sysctls(places.netns(HOUSE), [*links.BASE_SYSCTLS, ("net.ipv4.ip_forward", "0")])
    inside(places.netns(HOUSE), body)


def connect(topology: Topology, places: Places, pairs: list[tuple[End, End]]) -> None:
    """Ports to the bridge, addresses and default routes to the nodes; both ends are up already. Raises OSError."""
    assert topology.mgmt
    mgmt: Management = topology.mgmt

    def ports() -> None:
        with IPRoute() as rtnl:
            for _, port in pairs:
                rtnl.link("set", index=port.index, master=BRIDGE_INDEX)

    inside(places.netns(HOUSE), ports)
    gateways = {gateway.version: str(gateway.ip) for gateway in mgmt.gateways}
    for end, _ in pairs:
        addresses = mgmt.addresses[end.node]

        def node(end: End = end, addresses: tuple[Address, ...] = addresses) -> None:
            with IPRoute() as rtnl:
                _give(rtnl, end.index, addresses)
                for address in addresses:
                    nowhere = "0.0.0.0/0" if address.version == 4 else "::/0"
                    rtnl.route("add", dst=nowhere, gateway=gateways[address.version], oif=end.index)

        inside(places.netns(end.node), node)


def _give(rtnl: IPRoute, index: int, addresses: tuple[Address, ...]) -> None:
    for address in addresses:
        rtnl.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)


def hosts_of(topology: Topology, node: str) -> str:
    """`/etc/hosts` of a node: itself, and everybody on the management network by both names."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    addresses: Mapping[str, tuple[Address, ...]] = topology.mgmt.addresses if topology.mgmt else {}
    if node not in addresses:
        lines.append(f"127.0.1.1 {node}")
    else:
        lines += [
            f"{address.ip} {topology.container_name(name)} {name}"
            for name, found in addresses.items()
            for address in found
        ]
    return "\n".join([*lines, ""])
