"""Four FRR routers in a square: c reaches d by a, and by b when it must. Texts only; booting is for whoever tests."""

from __future__ import annotations

from pathlib import Path

VIP = "203.0.113.10"
CLIENT = "10.9.0.1"
# Interface 1 leads to the upper way (a), 2 to the lower (b); at a and b, 1 leads to c and 2 to d.
LOWER = {"c": "eth2", "d": "eth2"}
OWN = {"c": CLIENT, "d": VIP}
ASN = {"c": 65001, "a": 65002, "b": 65003, "d": 65004}

START = """\
set -eu
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
[ -z "$OWN" ] || ip address add "$OWN/32" dev lo
mkdir -p /run/frr && chown frr:frr /run/frr
/usr/lib/frr/mgmtd -d --limit-fds 256
for daemon in zebra bfdd bgpd; do /usr/lib/frr/$daemon -d -f /etc/router/$daemon.conf --limit-fds 256; done
exec sleep infinity
"""
BFD = "bfd\n profile path\n  transmit-interval 100\n  receive-interval 100\n  detect-multiplier 3\n exit\nexit\n"


def _bgp(node: str) -> str:
    lines = [
        "route-map LONGER permit 10",
        f" set as-path prepend {ASN[node]} {ASN[node]}",
        "exit",
        f"router bgp {ASN[node]}",
    ]
    lines += [
        f" bgp router-id 10.0.0.{ASN[node] - 65000}",
        " no bgp ebgp-requires-policy",
        " no bgp default ipv4-unicast",
    ]
    lines += [" timers bgp 3 9", " coalesce-time 10"]
    for interface in ("eth1", "eth2"):
        lines += [
            f" neighbor {interface} interface remote-as external",
            f" neighbor {interface} bfd profile path",
            f" neighbor {interface} timers connect 1",
            f" neighbor {interface} advertisement-interval 0",
        ]
    lines += [" address-family ipv4 unicast", *([f"  network {OWN[node]}/32"] if node in OWN else [])]
    lines += ["  neighbor eth1 activate", "  neighbor eth2 activate"]
    lines += [f"  neighbor {LOWER[node]} route-map LONGER out"] if node in LOWER else []
    return "\n".join([*lines, " exit-address-family", "exit", ""])


def square(directory: Path) -> str:
    """The nodes and links of a topology file in `directory`, after writing what its routers read."""
    nodes = []
    for node in ASN:
        home = directory / node
        home.mkdir()
        (home / "start").write_text(START)
        (home / "zebra.conf").write_text(f"hostname {node}\nzebra work-queue 0\n")
        (home / "bfdd.conf").write_text(BFD)
        (home / "bgpd.conf").write_text(_bgp(node))
        own = OWN.get(node, "")
        nodes.append(
            f'    {node}: {{cmd: sh /etc/router/start, env: {{OWN: "{own}"}}, binds: ["{home}:/etc/router:ro"]}}'
        )
    links = [
        f"    - {{endpoints: [{one}, {other}], mtu: 1500}}"
        for one, other in (("c:eth1", "a:eth1"), ("c:eth2", "b:eth1"), ("a:eth2", "d:eth1"), ("b:eth2", "d:eth2"))
    ]
    return "\n".join(["  nodes:", *nodes, "  links:", *links, ""])
