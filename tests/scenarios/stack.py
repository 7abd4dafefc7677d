"""Writes a stack of six small nodes, client - front - two ways - server, and a spare that carries nothing. Deploys nothing.

Static routes only, so that a silent kill is never noticed; a withdrawal takes the links down, which the neighbours do notice.
"""

from __future__ import annotations

from pathlib import Path

RESPONDER = Path(__file__).resolve().parents[1] / "probes/responder.py"
TELLER = RESPONDER.with_name("teller.py")

TOPOLOGY = """\
name: {name}
topology:
  defaults:
    kind: linux
    image: nospof/base:latest
    network-mode: none
    cmd: sleep infinity
    sysctls:
      net.ipv4.ip_forward: "1"
      net.ipv4.fib_multipath_hash_policy: "1"
      net.ipv4.conf.all.ignore_routes_with_linkdown: "1"
      net.ipv4.conf.default.ignore_routes_with_linkdown: "1"
  nodes:
    client:
      labels: {{nospof.role: client, nospof.region: one}}
      exec:
        - ip address add 10.0.0.1/24 dev eth1
        - ip route add default via 10.0.0.2
    front:
      labels: {{nospof.role: edge, nospof.region: one}}
      exec:
        - ip address add 10.0.0.2/24 dev eth1
        - ip address add 10.1.1.1/24 dev eth2
        - ip address add 10.1.2.1/24 dev eth3
        - ip address add 10.1.3.1/24 dev eth4
        - ip route add 203.0.113.0/24 nexthop via 10.1.1.2 nexthop via 10.1.2.2
    way1:
      labels: {{nospof.role: l4, nospof.region: one}}
      exec:
        - ip address add 10.1.1.2/24 dev eth1
        - ip address add 10.2.1.1/24 dev eth2
        - ip route add 10.0.0.0/24 via 10.1.1.1
        - ip route add 203.0.113.0/24 via 10.2.1.2
        - ip route add blackhole default metric 9999
    way2:
      labels: {{nospof.role: l4, nospof.region: one}}
      exec:
        - ip address add 10.1.2.2/24 dev eth1
        - ip address add 10.2.2.1/24 dev eth2
        - ip route add 10.0.0.0/24 via 10.1.2.1
        - ip route add 203.0.113.0/24 via 10.2.2.2
    spare:
      labels: {{nospof.role: l4, nospof.region: one}}
      exec:
        - ip address add 10.1.3.2/24 dev eth1
    server:
      labels: {{nospof.role: l7, nospof.region: one}}
      cmd: >-
        sh -c "ip address add 203.0.113.10/32 dev lo; ip address add 203.0.113.20/32 dev lo;
        python3 -S /responder.py udp 203.0.113.20 7 server & exec python3 -S /responder.py http 203.0.113.10 80 server"
      binds: ["{responder}:/responder.py:ro"]
      exec:
        - ip address add 10.2.1.2/24 dev eth1
        - ip address add 10.2.2.2/24 dev eth2
        - ip route add default nexthop via 10.2.1.1 nexthop via 10.2.2.1
  links:
    - {{endpoints: ["client:eth1", "front:eth1"], mtu: 1500}}
    - {{endpoints: ["front:eth2", "way1:eth1"], mtu: 1500}}
    - {{endpoints: ["front:eth3", "way2:eth1"], mtu: 1500}}
    - {{endpoints: ["front:eth4", "spare:eth1"], mtu: 1500}}
    - {{endpoints: ["way1:eth2", "server:eth1"], mtu: 1500}}
    - {{endpoints: ["way2:eth2", "server:eth2"], mtu: 1500}}
"""
CONTRACT = """\
version: 1
prefixes: [203.0.113.0/24]
services:
  web: {vip: [203.0.113.10], port: 80, protocol: http, host: web.test, path: /, identity: x-backend}
  echo: {vip: [203.0.113.20], port: 7, protocol: udp}
actions:
  l4:
    withdraw: [sh, -c, ip link set eth1 down; ip link set eth2 down]
    announce:
      - sh
      - -c
      - >-
        ip link set eth2 up; ip link set eth1 up;
        ip route replace 10.0.0.0/24 via 10.1.1.1; ip route replace 203.0.113.0/24 via 10.2.1.2
budgets:
  withdraw: {black_hole: 1s, broken: 0, elsewhere: {black_hole: 100ms}}
  kill-node: {black_hole: 300ms, broken: own}
  freeze-process: {black_hole: 300ms, broken: own}
  crash-process: {black_hole: 300ms, broken: own}
  cut-link: {black_hole: 300ms, broken: 0}
"""
WORDS = """  web: {vip: [203.0.113.10], port: 80, protocol: tcp, send: "ping\\n", expect: "+PONG"}\n"""
GREETER = Path(__file__).with_name("greeter.py")


def write_stack(directory: Path, lab: str, *, web: str = "http") -> Path:
    """The topology's path; its contract is beside it. `web`: what the service web really speaks, `http` or `greeting`; or `words`: it
    is a tcp service that is asked and answers without HTTP, as its contract says, and the only one there is."""
    path = directory / "small.clab.yml"
    text = TOPOLOGY.format(name=lab, responder=RESPONDER)
    if web == "greeting":
        text = text.replace("/responder.py http", "/greeter.py")
        text = text.replace(f'["{RESPONDER}:', f'["{GREETER}:/greeter.py:ro", "{RESPONDER}:')
    contract = CONTRACT
    if web == "words":
        text = text.replace(
            "python3 -S /responder.py http 203.0.113.10 80 server", "python3 -S /teller.py 203.0.113.10 80"
        )
        text = text.replace(f'["{RESPONDER}:', f'["{TELLER}:/teller.py:ro", "{RESPONDER}:')
        services, _, rest = contract.partition("actions:")
        contract = f"{services.partition('  web:')[0]}{WORDS}actions:{rest}"
    path.write_text(text, encoding="utf-8")
    path.with_name("small.contract.yml").write_text(contract, encoding="utf-8")
    return path
