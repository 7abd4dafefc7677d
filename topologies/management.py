"""The management network of a containerlab file: its subnets and who has which address. Pure.

Where a node does not say otherwise, containerlab gives it `eth0` in a network that all nodes share. Ours is closed: its gateway
answers, and leads nowhere. Source: containerlab's manual, network wiring.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from topologies import keys
from topologies.document import Value

INTERFACE = "eth0"
DEFAULT_NAME = "clab"
DEFAULT_V4, DEFAULT_V6 = "172.20.20.0/24", "3fff:172:20:20::/64"
DEFAULT_MTU = 1500

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Management:
    """A file's management network. `subnets`: of each family at most one; the first host of each is the gateway's."""

    name: str = DEFAULT_NAME
    subnets: tuple[Network, ...] = ()
    mtu: int = DEFAULT_MTU
    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=dict, hash=False)

    @property
    def gateways(self) -> tuple[Address, ...]:
        """The bridge's own addresses."""
        return tuple(_host(net, 1) for net in self.subnets)


def _host(network: Network, number: int) -> Address:
    return ipaddress.ip_interface(f"{network[number]}/{network.prefixlen}")


def read_management(value: Value | None) -> Management:
    """Of the file's `mgmt:`; without addresses, which need the nodes."""
    if value is None:
        return Management(subnets=_subnets(None, None))
    fields = value.fields("'mgmt'", keys.supported(keys.MGMT), keys.refused(keys.MGMT))
    name = fields["network"].text("a network's name") if "network" in fields else None
    mtu = fields["mtu"].integer(68, 65535, "bytes, 68–65535, such as 1500") if "mtu" in fields else None
    v4 = _subnet(fields.get("ipv4-subnet"), 4)
    v6 = _subnet(fields.get("ipv6-subnet"), 6)
    if "external-access" in fields:
        text = fields["external-access"].text("'false'")
        if text is not None and text.lower() not in ("false", "no", "off"):
            fields["external-access"].complain("'false', or nothing: a lab is closed, nothing in it reaches outside")
    return Management(name or DEFAULT_NAME, _subnets(v4, v6), mtu or DEFAULT_MTU)


def _subnets(v4: Network | None, v6: Network | None) -> tuple[Network, ...]:
    """As containerlab: the defaults only where neither family is given."""
    if v4 is None and v6 is None:
        return ipaddress.ip_network(DEFAULT_V4), ipaddress.ip_network(DEFAULT_V6)
    return tuple(net for net in (v4, v6) if net is not None)


def _subnet(value: Value | None, version: int) -> Network | None:
    if value is None:
        return None
    example = DEFAULT_V4 if version == 4 else DEFAULT_V6
    text = value.text(f"a subnet such as {example}")
    if text is None:
        return None
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        value.complain(f"a subnet such as {example} ({error})")
        return None
    if found.version != version or found.num_addresses < 4:
        value.complain(f"a subnet of IPv{version} with room for a gateway and a node, such as {example}")
        return None
    return found


def with_addresses(
    mgmt: Management, nodes: Iterable[str], wanted: Mapping[str, Iterable[tuple[Value, str]]]
) -> Management:
    """The network with an address of each family for every one of `nodes`: the one that its file wants, or the lowest free.

    `wanted`: node → the addresses it asks for, with their places in the file, where what cannot be is complained of."""
    nodes = list(nodes)
    given: dict[str, dict[int, Address]] = {node: {} for node in nodes}
    holder: dict[object, str] = {gateway.ip: "the gateway" for gateway in mgmt.gateways}
    for node in nodes:
        for value, text in wanted.get(node, ()):
            if (address := _wanted(mgmt, value, text)) is None:
                continue
            if address.ip in holder:
                value.complain(f"an address of its own; this one is {holder[address.ip]}'s")
                continue
            holder[address.ip] = node
            given[node][address.version] = address
    for net in mgmt.subnets:
        free = _free(net, holder)
        for node in nodes:
            if net.version not in given[node] and (address := next(free, None)):
                given[node][net.version] = address
    found = {node: tuple(given[node][version] for version in sorted(given[node])) for node in nodes}
    return Management(mgmt.name, mgmt.subnets, mgmt.mtu, found)


def _free(net: Network, holder: Mapping[object, str]) -> Iterator[Address]:
    last = net.num_addresses - (1 if net.version == 4 else 0)  # the highest of IPv4 is broadcast
    return (_host(net, n) for n in range(2, last) if net[n] not in holder)


def _wanted(mgmt: Management, value: Value, text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        value.complain("an IP address without a prefix length")
        return None
    for net in mgmt.subnets:
        if address in net and address != net.network_address:
            return ipaddress.ip_interface(f"{address}/{net.prefixlen}")
    value.complain(f"an address in {' or '.join(map(str, mgmt.subnets))}, the management network")
    return None
