"""Writes the reference's topology file, contract and configurations, and those of the counterexamples made from it.

`python -m topologies.reference.generate` writes them; they are committed, and a test holds them to this generator.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from topologies.reference import frr
from topologies.reference.plan import (
    APP_PORT,
    ECHO,
    TLS_PORT,
    WEB,
    WEB_HOST,
    Member,
    Network,
    app_addresses,
    app_link,
    network,
)

TOPOLOGIES = Path(__file__).resolve().parents[1]
CONTRACT = f"""version: 1
prefixes: [203.0.113.0/24, "2001:db8:f::/48"]
services:
  web:
    vip: [{WEB[0]}, "{WEB[1]}"]
    port: 80
    protocol: http
    http: [1.1, 2]
    host: {WEB_HOST}
    path: /
    stream: /stream
    identity: x-backend
  web-tls:
    vip: [{WEB[0]}, "{WEB[1]}"]
    port: {TLS_PORT}
    protocol: https
    http: [1.1, 2]
    host: {WEB_HOST}
    path: /
    stream: /stream
    identity: x-backend
  echo: {{vip: [{ECHO[0]}, "{ECHO[1]}"], port: 7, protocol: udp}}
processes:
  transit: [bgpd, bfdd, zebra]
  edge: [bgpd, bfdd, zebra]
  l4: [l4agent, bgpd, bfdd, zebra]
  l7: [envoy, l7agent, echo, bgpd, bfdd, zebra]
  app: [app]
events: /run/nospof/events.sock
actions:
  l4:
    drain: [l4ctl, drain]
    undrain: [l4ctl, undrain]
    withdraw: [l4ctl, withdraw]
    announce: [l4ctl, announce]
  l7:
    drain: [l7ctl, drain]
    undrain: [l7ctl, undrain]
budgets:
  steady: {{latency_steady: 200ms}}
  drain: {{black_hole: 0ms, new_fail: 0ms, request_fail: 0ms, broken: 0, load_fail: 0%, latency: 500ms, return: 30s}}
  withdraw: {{black_hole: 0ms, new_fail: 0ms, request_fail: 0ms, broken: 0, load_fail: 0%, latency: 500ms, return: 30s}}
  # A request that waits for its SYN to be sent again takes a second longer; only one that is not whole within 2 s has failed.
  cut-link: {{black_hole: 300ms, new_fail: 300ms, request_fail: 400ms, broken: 0, recover: 2s, return: 30s}}
  crash-process/l7: {{black_hole: 500ms, new_fail: 500ms, request_fail: 500ms, broken: own, recover: 5s, return: 60s}}
  # The kernel goes on accepting for a frozen process: only who waits for an answer loses anything.
  freeze-process/l7: {{black_hole: 0ms, new_fail: 0ms, request_fail: 1s, broken: own, recover: 5s, return: 60s}}
  kill-node: {{black_hole: 300ms, new_fail: 300ms, request_fail: 400ms, broken: own, recover: 5s, return: 60s}}
  kill-node/l4: {{black_hole: 300ms, new_fail: 300ms, request_fail: 400ms, broken: 0, recover: 2s, return: 60s}}
  kill-node/l7: {{black_hole: 500ms, new_fail: 500ms, request_fail: 500ms, broken: own, recover: 5s, return: 60s}}
  # A region hangs on its transit: who used it moves to another region, and connections do not move along.
  kill-node/transit: {{black_hole: 500ms, new_fail: 500ms, request_fail: 1s, recover: 6s, return: 60s}}
  kill-region: {{black_hole: 500ms, new_fail: 1s, request_fail: 1s, broken: own, recover: 10s, return: 90s}}
availability: 99.99%
"""
HEAD = """# Made by `python -m topologies.reference.generate`; change that, not this.
# {what}
name: {name}
topology:
  defaults:
    kind: linux
    image: nospof/reference:latest
    network-mode: none
  nodes:
"""


def _start(member: Member) -> str:
    return member.role if member.role in ("edge", "l4", "l7", "app", "control") else "router"


def _environment(net: Network, member: Member) -> dict[str, str]:
    if member.role == "app":
        ends = [(interface, *app_link(l7, member)) for interface, l7 in net.ends(member.name)]
        return {"PORT": str(APP_PORT), "LINKS": " ".join(f"{interface},{own}/31,{l7}" for interface, l7, own in ends)}
    if not member.router:
        return {}
    settings = {
        "LOOPBACK": f"{member.loopback}/32 {member.loopback6}/128",
        "HASH_SEED": str(zlib.crc32(member.name.encode()) & 0x7FFFFFFF | 1),
    }
    if member.role == "edge":
        interface, peer = net.backup(member)
        settings["BACKUP"] = f"{interface} {member.backup6} {peer.backup6}"
    if member.role == "l7":
        links = [
            f"{app_link(member, app)[0]}/31,{interface}"
            for interface, app in net.ends(member.name)
            if app.role == "app"
        ]
        settings |= {"VIPS": " ".join(_vip_prefixes()), "APP_LINKS": " ".join(links)}
    return settings


def _vip_prefixes() -> list[str]:
    return [f"{vip}/{128 if ':' in vip else 32}" for vip in WEB + ECHO]


def _services() -> list[dict[str, object]]:
    return [
        {
            "name": "web",
            "vip": list(WEB),
            "port": 80,
            "more_ports": [TLS_PORT],
            "protocol": "tcp",
            "check": {"kind": "http", "path": "/nospof-health", "host": WEB_HOST},
        },
        {"name": "echo", "vip": list(ECHO), "port": 7, "protocol": "udp", "check": {"kind": "udp"}},
    ]


def _l4(net: Network, member: Member) -> dict[str, object]:
    return {
        "name": member.name,
        "loopback": member.loopback,
        "interfaces": [interface for interface, _ in net.ends(member.name)],
        "uplinks": [peer.loopback for _, peer in net.ends(member.name)],
        "asn": member.asn,
        "services": _services(),
        "backends": [{"name": m.name, "address": m.loopback} for m in net.of("l7", member.region)],
        "check": {
            # Two checks and eight more at once, all without an answer, each by a connection of its own: 600 to 700 ms. With half
            # of it a busy host passed for a dead node. A link that is cut silently is out of use sooner than that.
            "interval_ms": 100,
            "timeout_ms": 300,
            "again": 8,
            "fall": 10,
            "rise": 2,
            "refused": {"fall": 2, "retry_ms": 50},
        },
    }


def _l7(net: Network, member: Member) -> dict[str, object]:
    apps = [
        {"name": app.name, "region": app.region, "address": address, "port": APP_PORT}
        for app in net.of("app")
        for address in app_addresses(net, member, app)
    ]
    return {
        "name": member.name,
        "region": member.region,
        "loopback": member.loopback,
        "interfaces": [interface for interface, peer in net.ends(member.name) if peer.role == "edge"],
        "vips": _vip_prefixes(),
        "port": 80,
        "tls": {"port": TLS_PORT, "host": WEB_HOST},
        "apps": apps,
        "others": _others(net, member),
    }


def _others(net: Network, member: Member) -> list[str]:
    """The region's other nodes of that role, the next one first, in an order that all of them share."""
    names = [one.name for one in net.of(member.role, member.region)]
    at = names.index(member.name)
    return [net.members[name].loopback for name in names[at + 1 :] + names[:at]]


def _configurations(net: Network, member: Member) -> dict[str, str]:
    files: dict[str, str] = {}
    if member.router:
        files |= {"zebra.conf": frr.zebra(member), "bfdd.conf": frr.bfdd(member), "bgpd.conf": frr.bgpd(net, member)}
    if member.role == "l4":
        files["l4.json"] = json.dumps(_l4(net, member), indent=1) + "\n"
    if member.role == "l7":
        files["l7.json"] = json.dumps(_l7(net, member), indent=1) + "\n"
    return files


def topology_text(net: Network, what: str, configs: str, binds: Mapping[str, Sequence[str]]) -> str:
    """The containerlab file. `binds`: node → what is bound into it beside its configuration."""
    lines = [HEAD.format(what=what, name=net.name).rstrip("\n")]
    for member in net.members.values():
        lines += [
            f"    {member.name}:",
            f"      cmd: /opt/reference/node/start {_start(member)}",
            f"      labels: {{nospof.role: {member.role}, nospof.region: {member.region}}}",
        ]
        settings = _environment(net, member)
        if settings:
            lines += ["      env:", *(f'        {key}: "{value}"' for key, value in settings.items())]
        bound = [f"{configs}/{member.name}:/etc/reference:ro"] if _configurations(net, member) else []
        bound += binds.get(member.name, ())
        if bound:
            lines.append(f"      binds: {json.dumps(bound)}")
    lines.append("  links:")
    for wire in net.wires:
        ends = f'"{wire.a.name}:{wire.a_interface}", "{wire.b.name}:{wire.b_interface}"'
        lines.append(f"    - {{endpoints: [{ends}], mtu: {wire.mtu}}}")
    return "\n".join([*lines, ""])


def files(
    folder: str | Path, net: Network, what: str, binds: Mapping[str, Sequence[str]] | None = None
) -> dict[Path, str]:
    """Path → text of everything that a lab of this network needs. `binds`: node → what is bound into it beside its configuration."""
    stem = net.name
    configs = f"configs/{stem}"
    made = {
        Path(folder, f"{stem}.clab.yml"): topology_text(net, what, configs, binds or {}),
        Path(folder, f"{stem}.contract.yml"): CONTRACT,
    }
    for member in net.members.values():
        for name, text in _configurations(net, member).items():
            made[Path(folder, configs, member.name, name)] = text
    return made


def everything() -> dict[Path, str]:
    """Every generated file: path below `topologies/` → text."""
    reference = network("reference")
    single = network("single-l4", l4={"eu": 1})
    return {
        **files("reference", reference, "The reference: three regions, no single point of failure."),
        **files(
            "counterexamples", single, "The reference, but eu has a single L4: its flows leave the region when it goes."
        ),
    }


def main() -> None:
    """Writes every file below `topologies/`."""
    for path, text in everything().items():
        target = TOPOLOGIES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
