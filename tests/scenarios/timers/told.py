"""Writes what FRR, BIRD, keepalived and HAProxy say or read, in their own layouts, from figures.

The layouts were recorded from FRR 10.3 and BIRD 2.0.12; keepalived.conf(5) has the third."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

LINES = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            [
                "{",
                "}",
                "vrrp_instance A {",
                "virtual_server 10.0.0.1 80 {",
                "real_server 10.0.0.2 80 {",
                "HTTP_GET {",
                "advert_int",
                "advert_int 99999999",
                "@a b",
                "$X=1",
                "include *",
                "defaults",
                "backend b from x",
                "server a",
                "server a 10.0.0.1:80 check inter fall",
                "timeout check 1",
                "server-template a",
                "leaf1 BGP --- up 1 Established",
                "  BGP state:          Established",
                "    Neighbor address: 10.0.0.1",
                "    Hold timer:       1..2/9",
                '{"default": {"a": {"bgpState": 1}}}',
                "[" * 5000,
            ]
        ),
    ),
    max_size=12,
).map("\n".join)
"""Any text, and text that is nearly right."""


def frr_neighbour(
    *,
    state: str = "Established",
    hold_ms: int = 9000,
    read_ms: int = 1000,
    reset_ms: int | None = None,
    restart_s: int = 120,
    restarts: bool = False,
    restarting: bool = False,
) -> dict[str, Any]:
    """One neighbour of `show bgp vrf all neighbors json`, with the fields that matter."""
    graceful: dict[str, Any] = {
        "endOfRibSend": {},
        "localGrMode": "Helper*",
        "remoteGrMode": "Restart" if restarts else "Helper",
        "timers": {"configuredRestartTimer": 120, "receivedRestartTimer": restart_s},
    }
    if restarting:
        graceful |= {"gracefulRestartTimerMsecs": 18000, "gracefulStalepathTimerMsecs": 358000}
    told: dict[str, Any] = {
        "remoteAs": 65002,
        "bgpState": state,
        "bgpTimerLastRead": read_ms,
        "bgpTimerConfiguredHoldTimeMsecs": 180000,
        "bgpTimerHoldTimeMsecs": hold_ms,
        "bgpTimerKeepAliveIntervalMsecs": hold_ms // 3,
        "gracefulRestartInfo": graceful,
        "peerBfdInfo": {"type": "single hop", "status": "Up"},
    }
    return told | ({"lastReset": "never"} if reset_ms is None else {"lastResetTimerMsecs": reset_ms})


def frr_bgp(neighbours: Mapping[str, Mapping[str, Any]], vrf: str = "default") -> str:
    return json.dumps({vrf: {"vrfId": 0, "vrfName": vrf, **neighbours}}, indent=2) + "\n"


def frr_ospf(*, dead_s: int = 6, due_ms: int = 5000, state: str = "Full/-", interface: str = "eth1") -> str:
    """Interfaces and then neighbours, as two commands print them one after the other."""
    interfaces = {interface: {"ifUp": True, "timerMsecs": 2000, "timerDeadSecs": dead_s}}
    neighbour = {
        "ifaceAddress": "10.0.0.2",
        "ifaceName": interface,
        "nbrState": state,
        "routerDeadIntervalTimerDueMsec": due_ms,
    }
    shared = {"vrfName": "default", "vrfId": 0}
    first = {"default": {**shared, "interfaces": interfaces}}
    second = {"default": {**shared, "neighbors": {"10.0.0.2": [neighbour]}}}
    return f"{json.dumps(first, indent=2)}\n\n{json.dumps(second, indent=2)}\n\n"


def bird_session(
    *,
    name: str = "leaf1",
    address: str = "10.7.0.2",
    hold: str = "9",
    left: str = "7.852",
    established: bool = True,
    restart: str = "",
    restarting: bool = False,
) -> str:
    """One BGP protocol of `birdc show protocols all`; `restart`: the neighbour's restart time."""
    state = "Established" if established else "Active"
    lines = [
        f"{name:<10} BGP        ---        {'up  ' if established else 'start'}   12:06:30.109  {state}   ",
        f"  BGP state:          {state}",
        f"    Neighbor address: {address}",
        "    Neighbor AS:      65102",
        "    Local AS:         65101",
        *(["    Neighbor graceful restart active"] if restarting else []),
    ]
    if established:
        for whose, time, families in (("Local", "77", "ipv4"), ("Neighbor", restart or "0", "ipv4" if restart else "")):
            lines += [
                f"    {whose} capabilities",
                "      Multiprotocol",
                "        AF announced: ipv4",
                "      Graceful restart",
                f"        Restart time: {time}",
                f"        AF supported: {families}".rstrip(),
                "        AF preserved:",
                "      Long-lived graceful restart",
            ]
        lines += [
            "    Session:          external AS4",
            "    Source address:   10.7.0.1",
            f"    Hold timer:       {left}/{hold}",
            "    Keepalive timer:  0.914/3",
        ]
    lines += [
        "  Channel ipv4",
        f"    State:          {'UP' if established else 'DOWN'}",
        "    Table:          master4",
        "",
    ]
    return "\n".join([*lines, ""])


def bird_protocols(sessions: Sequence[str]) -> str:
    head = [
        "BIRD 2.0.12 ready.",
        "Name       Proto      Table      State  Since         Info",
        "device1    Device     ---        up     12:06:25.977  ",
        "",
        "vip        Static     master4    up     12:06:25.977  ",
        "  Channel ipv4",
        "    State:          UP",
        "",
        "",
    ]
    return "\n".join(head) + "\n".join(sessions)


VRRP = """\
! how the two balancers share an address
global_defs {{
  vrrp_garp_master_refresh 10   # not a timer of the takeover
  script_user root
}}
vrrp_script chk_haproxy {{
  script "/usr/bin/pgrep -x haproxy # not a comment"
  interval {interval}
  fall {fall}
  rise 2
}}
vrrp_instance VI_1
{{
  state BACKUP
  interface eth1
  virtual_router_id 51
  priority {priority}
  advert_int {advert}
  virtual_ipaddress {{ 10.0.0.100/24 }}
  track_script {{ chk_haproxy }}
}}
"""

HAPROXY = """\
global
  maxconn 4000
defaults
  mode http
  timeout connect 1s # of clients, and of checks
  timeout client 60s
  timeout server 60s
frontend fe
  bind 10.0.0.100:80
  default_backend be
backend be
  balance roundrobin
  option httpchk GET /
  server web1 10.0.0.21:80 check inter {inter} fall {fall}
  server web2 10.0.0.22:80 inter {inter} fall {fall}
"""
