"""The reference network as plain values: who is linked to whom, addresses, AS numbers. Pure; it writes no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REGIONS = ("us", "eu", "ap")
TIER = {"transit": 1, "edge": 2, "l4": 3, "l7": 4, "client": 9}
OUTER_MTU = 1500
INNER_MTU = 1600  # an encapsulated full-size packet fits
WEB = ("203.0.113.10", "2001:db8:f::10")
ECHO = ("203.0.113.20", "2001:db8:f::20")
WEB_HOST = "web.test"
TLS_PORT, APP_PORT = 443, 8080


@dataclass(frozen=True, slots=True)
class Member:
    """One node: its place in region and tier. `router` nodes speak BGP and have a loopback address."""

    name: str
    role: str
    region: str
    number: int

    @property
    def router(self) -> bool:
        return self.role in TIER

    @property
    def region_number(self) -> int:
        return REGIONS.index(self.region) + 1

    @property
    def loopback(self) -> str:
        """One scheme for both families: 10.REGION.TIER.NUMBER, where tunnels end, too."""
        return f"10.{self.region_number}.{TIER[self.role]}.{self.number}"

    @property
    def loopback6(self) -> str:
        """2001:db8:REGION:TIER::NUMBER: what a client asks from, and what a router's ICMPv6 errors come from."""
        return f"2001:db8:{self.region_number}:{TIER[self.role]}::{self.number}"

    @property
    def backup6(self) -> str:
        """An edge's end of the link to the other edge."""
        return f"2001:db8:{self.region_number}:f{TIER[self.role]}::{self.number}"

    @property
    def asn(self) -> int:
        """One AS per tier and region."""
        return 65000 + 100 * self.region_number + TIER[self.role]


@dataclass(frozen=True, slots=True)
class Wire:
    """A link between two members with the interface at each."""

    a: Member
    a_interface: str
    b: Member
    b_interface: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Network:
    """Members by name, in the order of the file, and their links."""

    name: str
    members: Mapping[str, Member]
    wires: tuple[Wire, ...]

    def ends(self, name: str) -> list[tuple[str, Member]]:
        """(interface, peer) of a member, in the order of its interfaces."""
        found = [(w.a_interface, w.b) for w in self.wires if w.a.name == name]
        found += [(w.b_interface, w.a) for w in self.wires if w.b.name == name]
        return sorted(found, key=lambda end: int(end[0].removeprefix("eth")))

    def backup(self, edge: Member) -> tuple[str, Member]:
        """An edge's link to the other edge of its region, and that edge: the way around an uplink that is gone."""
        return next((interface, peer) for interface, peer in self.ends(edge.name) if peer.role == "edge")

    def of(self, role: str, region: str | None = None) -> list[Member]:
        return [m for m in self.members.values() if m.role == role and region in (None, m.region)]


def _members(l4: Mapping[str, int], regions: Sequence[str]) -> dict[str, Member]:
    made = []
    for region in regions:
        counts = {"transit": 1, "edge": 2, "l4": l4.get(region, 2), "l7": 2, "app": 2, "control": 1, "client": 1}
        for role, count in counts.items():
            names = [f"{region}-{role}"] if count == 1 and role in ("transit", "control", "client") else None
            for number in range(1, count + 1):
                name = names[0] if names else f"{region}-{role}-{number}"
                made.append(Member(name, role, region, number))
    return {m.name: m for m in made}


def network(name: str, l4: Mapping[str, int] | None = None, regions: Sequence[str] = REGIONS) -> Network:
    """The reference, or with `l4` (region → how many L4 nodes) one that is not SPOF-free, or with fewer `regions` a smaller one."""
    members = _members(l4 or {}, regions)
    used = dict.fromkeys(members, 0)
    wires: list[Wire] = []

    def link(a: Member, b: Member, mtu: int) -> None:
        used[a.name] += 1
        used[b.name] += 1
        wires.append(Wire(a, f"eth{used[a.name]}", b, f"eth{used[b.name]}", mtu))

    def of(role: str, region: str) -> list[Member]:
        return [m for m in members.values() if m.role == role and m.region == region]

    transits = [of("transit", region)[0] for region in regions]
    for i, a in enumerate(transits):
        for b in transits[i + 1 :]:
            link(a, b, OUTER_MTU)
    for number, region in enumerate(regions):
        edges = of("edge", region)
        for edge in edges:
            link(transits[number], edge, OUTER_MTU)
        for inner in of("l4", region) + of("l7", region):
            for edge in edges:
                link(edge, inner, INNER_MTU)
        for l7 in of("l7", region):
            for app in of("app", region):
                link(l7, app, OUTER_MTU)
        for edge in edges:
            link(edge, of("control", region)[0], OUTER_MTU)
        client = of("client", region)[0]
        link(client, transits[number], OUTER_MTU)
        if len(regions) > 1:
            link(client, transits[(number + 1) % len(regions)], OUTER_MTU)
        link(edges[0], edges[1], INNER_MTU)
    return Network(name, members, tuple(wires))


def app_link(l7: Member, app: Member) -> tuple[str, str]:
    """Addresses of the L7 node and of the app on the link between them (a /31)."""
    base = f"10.{100 + l7.region_number}.{l7.number}."
    return f"{base}{2 * app.number}", f"{base}{2 * app.number + 1}"


def app_addresses(net: Network, seen_from: Member, app: Member) -> list[str]:
    """Where an L7 node reaches an app: over its own link in its region, by every L7's link elsewhere."""
    ways = [seen_from] if seen_from.region == app.region else net.of("l7", app.region)
    return [app_link(l7, app)[1] for l7 in ways]
