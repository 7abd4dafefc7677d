"""What an L4 node is told about itself: /etc/reference/l4.json, read and typed. It must not know how it is used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Literal, cast

Vip = IPv4Address | IPv6Address
CONFIG_PATH = Path("/etc/reference/l4.json")


class ConfigError(Exception):
    """The file cannot be used; the message names the field, what was found and what would be right."""


@dataclass(frozen=True)
class Check:
    """How a service is asked whether it is well. `path` and `host` are for kind http only."""

    kind: Literal["http", "udp"]
    path: str = "/"
    host: str = ""


@dataclass(frozen=True)
class Service:
    """One port and protocol on one or more VIPs. `more_ports` are served by the same backends as `port`, where they are asked
    whether they are well."""

    name: str
    vips: tuple[Vip, ...]
    port: int
    protocol: Literal["tcp", "udp"]
    check: Check
    more_ports: tuple[int, ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """Each of them."""
        return (self.port, *self.more_ports)


@dataclass(frozen=True)
class Backend:
    """An L7 node: the other end of a tunnel. Its name decides its slots in the ring."""

    name: str
    address: IPv4Address


@dataclass(frozen=True)
class Timing:
    """A check starts every `interval_s` and fails after `timeout_s`; `fall` failures or `rise` successes decide.

    Of an earlier success, `refusals` in a row decide as well; after one the next check waits for `retry_s` only. After
    another failure `again` checks start at once.
    """

    interval_s: float
    timeout_s: float
    fall: int
    rise: int
    refusals: int = 2
    retry_s: float = 0.05
    again: int = 0


@dataclass(frozen=True)
class L4Config:
    """A whole L4 node."""

    name: str
    loopback: IPv4Address
    interfaces: tuple[str, ...]
    asn: int
    services: tuple[Service, ...]
    backends: tuple[Backend, ...]
    timing: Timing
    uplinks: tuple[IPv4Address, ...] = ()
    """Addresses of the routers around this node: with a route to none of them it is this node that is cut off."""

    @property
    def vips(self) -> tuple[Vip, ...]:
        """Every VIP once, IPv4 first, in order of address."""
        every = {vip for service in self.services for vip in service.vips}
        return tuple(sorted(every, key=lambda vip: (vip.version, int(vip))))


def _one_of(field: str, found: Any, allowed: tuple[str, ...]) -> str:
    if found not in allowed:
        raise ConfigError(f"{field} is {found!r}, wanted one of {', '.join(allowed)}")
    return str(found)


def _service(raw: Any) -> Service:
    check = raw["check"]
    kind = cast(Literal["http", "udp"], _one_of("check.kind", check["kind"], ("http", "udp")))
    protocol = cast(Literal["tcp", "udp"], _one_of("protocol", raw["protocol"], ("tcp", "udp")))
    vips = tuple(ip_address(vip) for vip in raw["vip"])
    how = Check(kind, check.get("path", "/"), check.get("host", ""))
    more = tuple(map(int, raw.get("more_ports", ())))
    return Service(raw["name"], vips, int(raw["port"]), protocol, how, more)


def _timing(raw: Any) -> Timing:
    refused = raw.get("refused", {})
    return Timing(
        interval_s=raw["interval_ms"] / 1000,
        timeout_s=raw["timeout_ms"] / 1000,
        fall=raw["fall"],
        rise=raw["rise"],
        refusals=refused.get("fall", Timing.refusals),
        retry_s=refused["retry_ms"] / 1000 if "retry_ms" in refused else Timing.retry_s,
        again=int(raw.get("again", Timing.again)),
    )


def parse_config(raw: Any) -> L4Config:
    """The decoded JSON as a typed configuration. Raises ConfigError."""
    try:
        config = L4Config(
            name=raw["name"],
            loopback=IPv4Address(raw["loopback"]),
            interfaces=tuple(raw["interfaces"]),
            asn=int(raw["asn"]),
            services=tuple(_service(service) for service in raw["services"]),
            backends=tuple(Backend(b["name"], IPv4Address(b["address"])) for b in raw["backends"]),
            timing=_timing(raw["check"]),
            uplinks=tuple(IPv4Address(address) for address in raw.get("uplinks", [])),
        )
    except KeyError as missing:
        raise ConfigError(f"field {missing} is missing") from missing
    except (TypeError, ValueError, AttributeError) as wrong:
        raise ConfigError(f"a field has the wrong kind of value: {wrong}") from wrong
    for field in ("interfaces", "services", "backends"):
        if not getattr(config, field):
            raise ConfigError(f"{field} is empty, wanted at least one")
    return config


def read_config(path: Path = CONFIG_PATH) -> L4Config:
    """The node's configuration from its file. Raises ConfigError, with the file's name."""
    try:
        return parse_config(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error
