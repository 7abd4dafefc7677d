"""Whether a service answers from a vantage: one honest question over the real path. Used before measuring, never for it."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from topologies.linux.netns import inside
from topologies.services import Service

TIMEOUT_S = 0.4


def source_for(namespace: Path, vip: str, port: int) -> str | None:
    """The address that the vantage's own kernel would use towards the VIP; None without a route."""

    def body() -> str | None:
        family = socket.AF_INET6 if ":" in vip else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((vip, port))  # sends nothing
            except OSError:
                return None
            return str(probe.getsockname()[0])

    return inside(namespace, body)


def _ask_udp(vip: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.sendto(b"ready?", (vip, port))
        answer = sock.recv(256)
        return "" if answer.startswith(b"ready?") else f"answers {answer[:16]!r} to an echo"


def _ask_http(service: Service, vip: str) -> str:
    connection = http.client.HTTPConnection(vip, service.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", service.path or "/", headers={"Host": service.host or vip})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            return f"answers {response.status}"
        if service.identity and not response.getheader(service.identity):
            return f"answers without the header {service.identity} that names its backend"
        return ""
    finally:
        connection.close()


def _ask_tcp(vip: str, port: int) -> str:
    with socket.create_connection((vip, port), timeout=TIMEOUT_S):
        return ""


def missing_answer(namespace: Path, service: Service, vip: str) -> str:
    """Empty when the service answered rightly; else what happened instead."""

    def body() -> str:
        try:
            if service.protocol == "udp":
                return _ask_udp(vip, service.port)
            if service.protocol == "http":
                return _ask_http(service, vip)
            return _ask_tcp(vip, service.port)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"

    return inside(namespace, body)
