"""Whom connections go to, and what is spoken to them. Plain values; it opens nothing."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

import msgspec

Version = Literal["1.1", "2"]
"""Of HTTP."""

Use = Literal["busy", "idle", "stream"]
"""What a connection is held for: requests at an interval; one request, and then nothing until it is asked; one answer without end."""


class Security(msgspec.Struct, frozen=True):
    """TLS. `ca`: a file of certificates in PEM, one of which has to have signed the server's, made out to the target's host;
    None: any certificate will do."""

    ca: str | None = None


class Target(msgspec.Struct, frozen=True):
    """Whom to connect to, from which address. `identity` is the header that names the backend; without `tls`, HTTP/2 is spoken by
    prior knowledge."""

    src: str
    dst: str
    dport: int
    host: str
    path: str = "/"
    identity: str = "x-backend"
    http: Version = "1.1"
    tls: Security | None = None

    @property
    def name(self) -> str:
        """The host's name without a port: what a certificate has to be made out to."""
        return host_name(self.host)


def host_name(host: str) -> str:
    """What stands before the port in a Host header, an IPv6 address without its brackets."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host.partition(":")[0]
