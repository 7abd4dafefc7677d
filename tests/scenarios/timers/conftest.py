"""Two routers with sessions between them, and a proxy before a server, by the fixtures of the labs' own tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import Describe, Up, describe, runtime, up
from topologies.linux.lab import LinuxLab

__all__ = ["describe", "runtime", "up"]

HOLD_S = 6
DAEMONS = """\
zebra=yes
bgpd=yes
bfdd=yes
ospfd=yes
vtysh_enable=yes
zebra_options="-A 127.0.0.1"
bgpd_options="-A 127.0.0.1"
bfdd_options="-A 127.0.0.1"
ospfd_options="-A 127.0.0.1"
"""
FRR = """\
hostname {name}
bfd
 profile quick
  transmit-interval 50
  receive-interval 50
  detect-multiplier 3
 exit
exit
interface eth2
 ip ospf area 0
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
exit
router ospf
 ospf router-id {own}
exit
router bgp {asn}
 bgp router-id {own}
 no bgp ebgp-requires-policy
 timers bgp 2 {hold}
 {graceful}
 neighbor {peer} remote-as external
 neighbor {peer} timers connect 1
 {bfd}
exit
"""
START = "sh -c '/usr/lib/frr/frrinit.sh start && exec sleep infinity'"


def router(place: Path, name: str, number: int, *, bfd: bool, graceful: bool) -> str:
    """Writes one router's files and gives its entry of the topology."""
    own, peer = f"10.0.0.{number}", f"10.0.0.{3 - number}"
    (place / f"{name}.daemons").write_text(DAEMONS)
    (place / f"{name}.conf").write_text(
        FRR.format(
            name=name,
            own=own,
            asn=65000 + number,
            hold=HOLD_S,
            peer=peer,
            bfd=f"neighbor {peer} bfd profile quick" if bfd else "",
            graceful="bgp graceful-restart" if graceful else "",
        )
    )
    binds = f"[{name}.daemons:/etc/frr/daemons, {name}.conf:/etc/frr/frr.conf]"
    addresses = f"[ip address add {own}/24 dev eth1, ip address add 10.0.1.{number}/24 dev eth2]"
    return f'    {name}: {{cmd: "{START}", binds: {binds}, exec: {addresses}}}\n'


def routers(describe: Describe, up: Up, place: Path, *, bfd: bool = False, graceful: bool = False) -> LinuxLab:
    """Routers a and b in steady state: a BGP session on one link and an OSPF adjacency on the other, long enough for BFD to be
    believed (FRR 10.3 ignores it within a second of its session's start)."""
    nodes = "".join(router(place, name, n, bfd=bfd, graceful=graceful) for n, name in ((1, "a"), (2, "b")))
    links = "    - {endpoints: [a:eth1, b:eth1], mtu: 1500}\n    - {endpoints: [a:eth2, b:eth2], mtu: 1500}\n"
    lab = up(describe(f"  nodes:\n{nodes}  links:\n{links}"))

    def steady() -> bool:
        for node in "ab":
            told = json.loads(ask(lab, node, "bgpd", "show bgp neighbors json") or "{}").values()
            if [n.get("bgpState") for n in told] != ["Established"] or min(n["bgpTimerUpMsec"] for n in told) < 2000:
                return False
            if bfd and any(n["peerBfdInfo"]["status"] != "Up" for n in told):
                return False
            if '"Full' not in ask(lab, node, "ospfd", "show ip ospf neighbor json"):
                return False
        return True

    wait_until(steady, "sessions between the routers", deadline_s=40)
    return lab


def ask(lab: LinuxLab, node: str, daemon: str, command: str) -> str:
    return lab.exec(node, ["vtysh", "-d", daemon, "-c", command]).out


@pytest.fixture
def plain(describe: Describe, up: Up, tmp_path: Path) -> LinuxLab:
    return routers(describe, up, tmp_path)


@pytest.fixture
def with_bfd(describe: Describe, up: Up, tmp_path: Path) -> LinuxLab:
    return routers(describe, up, tmp_path, bfd=True)
