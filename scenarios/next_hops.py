"""Which interfaces a router sends packets to a VIP out of, from the lines of a snapshot. Pure; it asks no kernel."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address, ip_network

_ROUTE = re.compile(r"route (?P<to>\S+)/(?P<length>\d+) table (?P<table>\d+) (?P<via>.*)")
_ADDRESS = re.compile(r"address \d+ (?P<address>\S+)/\d+")
_DEV = re.compile(r"dev (\d+)")


def next_hops(lines: Iterable[str], vips: Collection[str]) -> Mapping[str, tuple[int, ...]]:
    """VIP → of each next hop of its most specific route the index of its interface, ascending: several may be behind one interface.
    Default routes are left out; a VIP without a route is absent."""
    best: dict[str, tuple[int, list[int]]] = {}
    addresses = {vip: ip_address(vip) for vip in vips}
    for line in lines:
        match = _ROUTE.fullmatch(line.strip())
        if match is None or match["to"] == "default":
            continue
        try:
            network = ip_network(f"{match['to']}/{match['length']}")
        except ValueError:
            continue
        hops = [int(index) for index in _DEV.findall(match["via"])]
        for vip, address in addresses.items():
            if address.version == network.version and address in network:
                length, known = best.get(vip, (-1, []))
                if network.prefixlen > length:
                    best[vip] = (network.prefixlen, hops)
                elif network.prefixlen == length:
                    best[vip] = (length, known + hops)
    return {vip: tuple(sorted(hops)) for vip, (_, hops) in best.items()}


def holds(lines: Iterable[str], vip: str) -> bool:
    """Whether one of its interfaces has the address."""
    return any((match := _ADDRESS.fullmatch(line)) is not None and match["address"] == vip for line in lines)
