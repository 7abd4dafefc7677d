"""Whether a service answers from a vantage: one honest question over the real path. Used before measuring, never for it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from probes.connections.asking import ask
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS
from probes.requests.plan import MOST_HEARD_BYTES
from scenarios.schedule import Reached, connected_to
from topologies.linux.netns import inside
from topologies.services import Service

TIMEOUT_S = 0.4
PATIENT_S = FORWARDING_DELAY_THRESHOLD_NS / 1e9
"""A request has failed when it is not whole by then; asked so, a stack that comes up is looked at seldom."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question. `missing`: why it was no answer; empty where it was one. `carried`: the names of the headers of an HTTP
    answer that lacks the one that names its backend; None where it has it, or can have none."""

    missing: str = ""
    carried: tuple[str, ...] | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing came in the time that was given; with more of it something may."""
        return "TimeoutError" in self.missing


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


def _ask_udp(vip: str, port: int, timeout_s: float) -> str:
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.sendto(b"ready?", (vip, port))
        answer = sock.recv(256)
        return "" if answer.startswith(b"ready?") else f"answers {answer[:16]!r} to an echo"


def _ask_http(service: Service, vip: str, timeout_s: float) -> Reply:
    """In every version that it speaks: the first that gives no answer, else the first whose answer names no backend."""
    replies = [_asked_http(service, vip, number, timeout_s) for number in range(len(service.http))]
    named = (reply for reply in replies if reply.carried is not None)
    return next((reply for reply in replies if reply.missing), next(named, Reply()))


def _asked_http(service: Service, vip: str, number: int, timeout_s: float) -> Reply:
    answer, opening = ask(connected_to([Reached(service, vip, "")])[number], timeout_s)
    if answer.status != 200:
        return Reply(f"answers {answer.status}")
    return Reply(carried=None if answer.backend else opening.names)


def _ask_tcp(service: Service, vip: str, timeout_s: float) -> str:
    with socket.create_connection((vip, service.port), timeout=timeout_s) as sock:
        if service.expect is None:
            return ""
        sock.sendall(service.send or b"")
        heard = b""
        try:
            while service.expect not in heard and (more := sock.recv(min(4096, MOST_HEARD_BYTES - len(heard)))):
                heard += more
        except OSError as error:
            return f"{heard[:32]!r}, then {type(error).__name__}: {error}; {service.expect!r} was expected"
        return "" if service.expect in heard else f"answers {heard[:32]!r}, not {service.expect!r}"


def reply_of(namespace: Path, service: Service, vip: str, timeout_s: float = TIMEOUT_S) -> Reply:
    """What a service says to a vantage at a VIP, in so many seconds for each word."""

    def body() -> Reply:
        try:
            if service.protocol == "udp":
                return Reply(_ask_udp(vip, service.port, timeout_s))
            if service.speaks_http:
                return _ask_http(service, vip, timeout_s)
            return Reply(_ask_tcp(service, vip, timeout_s))
        except OSError as error:
            return Reply(f"{type(error).__name__}: {error}")

    return inside(namespace, body)
