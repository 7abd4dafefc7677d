"""Whether a service answers from a vantage: one honest question over the real path. Used before measuring, never for it."""

from __future__ import annotations

import socket
from pathlib import Path

from probes.connections.asking import ask
from probes.connections.speech import Answer
from scenarios.schedule import Reached, connected_to
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
    wrong = (_wrong(service, ask(target, TIMEOUT_S)) for target in connected_to([Reached(service, vip, "")]))
    return next(filter(None, wrong), "")


def _wrong(service: Service, answer: Answer) -> str:
    if answer.status != 200:
        return f"answers {answer.status}"
    if service.identity and not answer.backend:
        return f"answers without the header {service.identity} that names its backend"
    return ""


def _ask_tcp(vip: str, port: int) -> str:
    with socket.create_connection((vip, port), timeout=TIMEOUT_S):
        return ""


def missing_answer(namespace: Path, service: Service, vip: str) -> str:
    """Empty when the service answered rightly; else what happened instead."""

    def body() -> str:
        try:
            if service.protocol == "udp":
                return _ask_udp(vip, service.port)
            if service.speaks_http:
                return _ask_http(service, vip)
            return _ask_tcp(vip, service.port)
        except OSError as error:
            return f"{type(error).__name__}: {error}"

    return inside(namespace, body)
