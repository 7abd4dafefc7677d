"""What an L7 node is told about itself: /etc/reference/l7.json, read and typed. It must not know how it is used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

CONFIG_PATH = Path("/etc/reference/l7.json")


class ConfigError(Exception):
    """The file cannot be used; the message names the field, what was found and what would be right."""


@dataclass(frozen=True)
class App:
    """One way to reach an application instance; a remote one may be reached by several addresses."""

    name: str
    region: str
    address: IPv4Address
    port: int


@dataclass(frozen=True)
class Tls:
    """Where Envoy listens for TLS, and for whom its certificate is made out."""

    port: int
    host: str


@dataclass(frozen=True)
class L7Config:
    """A whole L7 node. `port` is where Envoy listens in the clear; `vips` are the prefixes that tunnels may carry; `others` are the
    region's other L7 nodes, the next one first, in an order that all of them share."""

    name: str
    region: str
    loopback: IPv4Address
    vips: tuple[IPv4Network | IPv6Network, ...]
    port: int
    apps: tuple[App, ...]
    others: tuple[IPv4Address, ...] = ()
    tls: Tls | None = None


def parse_config(raw: Any) -> L7Config:
    """The decoded JSON as a typed configuration. Raises ConfigError."""
    try:
        apps = tuple(App(a["name"], a["region"], IPv4Address(a["address"]), int(a["port"])) for a in raw["apps"])
        vips = tuple(ip_network(vip) for vip in raw["vips"])
        others = tuple(map(IPv4Address, raw.get("others", ())))
        tls = Tls(int(raw["tls"]["port"]), str(raw["tls"]["host"])) if "tls" in raw else None
        config = L7Config(
            raw["name"], raw["region"], IPv4Address(raw["loopback"]), vips, int(raw["port"]), apps, others, tls
        )
    except KeyError as missing:
        raise ConfigError(f"field {missing} is missing") from missing
    except (TypeError, ValueError) as wrong:
        raise ConfigError(f"a field has the wrong kind of value: {wrong}") from wrong
    if not apps:
        raise ConfigError("apps is empty; Envoy needs at least one application to send requests to")
    return config


def read_config(path: Path = CONFIG_PATH) -> L7Config:
    """The node's configuration from its file. Raises ConfigError, with the file's name."""
    try:
        return parse_config(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error
