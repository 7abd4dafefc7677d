"""Which new requests a vantage makes, and how often. Plain values: it knows neither sockets nor who sends them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from probes.connections.target import Security, Version, host_name

INTERVAL_NS = 50_000_000
"""Between two requests of a series: 20 a second."""

BASE_PORT, END_PORT = 28000, 32768
"""Source ports of requests lie above those of long-lived connections and below those of Linux's own choice."""

PORTS = 1536
"""Of one series: at 20 requests a second each port rests for 76 s, longer than TIME_WAIT, before it is used again."""

MOST_WORDS_BYTES = 4096
"""Of what a service without HTTP is sent, and of what it is expected to say."""

MOST_HEARD_BYTES = 65536
"""So much of what it says is searched for what it is expected to."""

LEAST_REST_NS = 5_000_000_000
"""A port rests at least so long: no request is still open on it, nor is anything of it under way."""


@dataclass(frozen=True, slots=True)
class RequestSeries:
    """One request per `interval_ns`, each on a connection of its own, from the next of `ports` source ports from `base_port` up.

    `host` is what the Host header says, and without a port what a certificate has to be made out to; `identity` the header that
    names the backend (None: answers name none). Without `tls`, HTTP/2 is spoken by prior knowledge. The first request is due
    `phase_ns` after the start.

    `http` None: `send` is sent, if there is any, and an answer is one as soon as it holds `expect`; it names nobody, and `host`,
    `path` and `tls` have no meaning. Raises ValueError for what cannot be asked.
    """

    id: int
    vantage: str
    service: str
    src: str
    dst: str
    dport: int
    host: str
    path: str = "/"
    identity: str | None = "x-backend"
    http: Version | None = "1.1"
    tls: Security | None = None
    interval_ns: int = INTERVAL_NS
    phase_ns: int = 0
    base_port: int = BASE_PORT
    ports: int = PORTS
    send: bytes = b""
    expect: bytes = b""

    def __post_init__(self) -> None:
        if self.interval_ns < 1 or self.phase_ns < 0:
            raise ValueError(
                f"a request every {self.interval_ns} ns, the first after {self.phase_ns} ns: not a schedule"
            )
        if not 0 < self.base_port <= self.base_port + self.ports - 1 <= 65535 or not 0 < self.dport <= 65535:
            last = self.base_port + self.ports - 1
            raise ValueError(f"source ports {self.base_port}..{last} to port {self.dport}: ports are 1 to 65535")
        if self.ports * self.interval_ns < LEAST_REST_NS:
            raise ValueError(
                f"{self.ports} source ports for a request every {self.interval_ns / 1e6:g} ms: "
                f"each would rest for less than {LEAST_REST_NS / 1e9:g} s"
            )
        if ipaddress.ip_address(self.src).version != ipaddress.ip_address(self.dst).version:
            raise ValueError(f"{self.src} cannot reach {self.dst}: the addresses are of two families")
        if max(len(self.send), len(self.expect)) > MOST_WORDS_BYTES:
            raise ValueError(f"more than {MOST_WORDS_BYTES} bytes to send or to expect")
        if self.http is not None and (self.send or self.expect):
            raise ValueError("bytes to send or to expect by HTTP, which has its own")
        if self.http is None and (not self.expect or self.identity is not None or self.tls is not None):
            raise ValueError(
                "without HTTP there are bytes to expect, and neither a header that names the backend nor TLS"
            )

    @property
    def family(self) -> Literal[4, 6]:
        """The IP version."""
        return 6 if ":" in self.dst else 4

    @property
    def name(self) -> str:
        """The host's name without a port: what a certificate has to be made out to."""
        return host_name(self.host)


def scheduled(series: Iterable[RequestSeries]) -> tuple[RequestSeries, ...]:
    """The series of one vantage, their phases spread over an interval and each with a range of source ports of its own.

    Series that go to different places share a range where there are not enough. Raises ValueError where two to the same place
    would have to, or a single one finds no room.
    """
    wanted = tuple(series)
    base, placed = BASE_PORT, []
    for number, one in enumerate(wanted):
        if one.ports > END_PORT - BASE_PORT:
            raise ValueError(f"series {one.id} wants {one.ports} source ports of {END_PORT - BASE_PORT}")
        if base + one.ports > END_PORT:
            base = BASE_PORT
        placed.append(replace(one, phase_ns=number * one.interval_ns // len(wanted), base_port=base))
        base += one.ports
    for i, one in enumerate(placed):
        for other in placed[:i]:
            if (
                _one_way(one, other)
                and one.base_port < other.base_port + other.ports
                and other.base_port < one.base_port + one.ports
            ):
                raise ValueError(
                    f"series {other.id} and {one.id} go from {one.src} to {one.dst} port {one.dport}, "
                    "and there are not enough source ports for both"
                )
    return tuple(placed)


def _one_way(one: RequestSeries, other: RequestSeries) -> bool:
    return (one.src, one.dst, one.dport) == (other.src, other.dst, other.dport)
