"""FRR configurations of the reference's routers. Pure text from the plan; source: the FRR 10.3 user guide, RFC 8950, RFC 8326."""

from __future__ import annotations

from topologies.reference.plan import Member, Network, app_link

ZEBRA = """hostname {name}
zebra work-queue 0
"""
BFDD = """hostname {name}
bfd
 profile path
  transmit-interval 50
  receive-interval 50
  detect-multiplier 3
 exit
exit
"""
# Only what a node originates itself leaves it: neither a server nor a client is ever a way through.
STUB_ROLES = ("l4", "l7", "client")


def zebra(member: Member) -> str:
    return ZEBRA.format(name=member.name)


def bfdd(member: Member) -> str:
    return BFDD.format(name=member.name)


def _neighbours(net: Network, member: Member) -> list[tuple[str, Member]]:
    """Whom it exchanges routes with. Two edges do not: each only takes in what the other cannot forward itself."""
    both_edges = member.role == "edge"
    return [
        (interface, peer)
        for interface, peer in net.ends(member.name)
        if peer.router and not (both_edges and peer.role == "edge")
    ]


def _networks(net: Network, member: Member, family: str) -> list[str]:
    if family == "ipv6":
        return [f"{member.loopback6}/128"]
    own = [f"{member.loopback}/32"]
    if member.role == "l7":
        own += [f"{app_link(member, app)[0]}/31" for app in net.of("app", member.region)]
    return own


def bgpd(net: Network, member: Member) -> str:
    """One session per link, over link-local addresses, for both families; BFD notices what goes silent."""
    lines = [
        f"hostname {member.name}",
        "bgp as-path access-list OWN seq 5 permit ^$",
        "route-map BACKUP permit 10",
        " set local-preference 50",
        "exit",
    ]
    if member.role == "l4":
        lines += [
            "route-map VIP-NORMAL permit 10",
            "exit",
            "route-map VIP-DRAIN permit 10",
            " set community graceful-shutdown",
            "exit",
        ]
    lines += [
        f"router bgp {member.asn}",
        f" bgp router-id {member.loopback}",
        " no bgp ebgp-requires-policy",
        " no bgp default ipv4-unicast",
        " no bgp network import-check",
        " bgp bestpath as-path multipath-relax",
        " timers bgp 3 9",
        " coalesce-time 10",
    ]
    neighbours = _neighbours(net, member)
    for interface, _ in neighbours:
        lines += [
            f" neighbor {interface} interface remote-as external",
            f" neighbor {interface} bfd profile path",
            f" neighbor {interface} timers connect 1",
            f" neighbor {interface} advertisement-interval 0",
        ]
    for family in ("ipv4", "ipv6"):
        lines.append(f" address-family {family} unicast")
        lines += [f"  network {prefix}" for prefix in _networks(net, member, family)]
        lines.append("  maximum-paths 8")
        for interface, peer in neighbours:
            lines.append(f"  neighbor {interface} activate")
            if member.role in STUB_ROLES:
                lines.append(f"  neighbor {interface} filter-list OWN out")
            if member.role == "l7" and family == "ipv4":
                # The nodes of a tier share an AS, so this one's own stands in the paths to the others. It passes packets of
                # connections that it does not have on to them, by tunnel.
                lines.append(f"  neighbor {interface} allowas-in 1")
            if member.role == "client" and peer.region != member.region:
                lines.append(f"  neighbor {interface} route-map BACKUP in")
        lines.append(" exit-address-family")
    return "\n".join([*lines, "exit", ""])
