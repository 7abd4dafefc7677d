"""Whether a service that answers small packets answers full-size ones: asked once, before anything is measured.

A path that loses what is large, and the word that says so, answers every handshake and hangs every transfer.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path

from probes.connections.asking import ask
from probes.packets import payload
from scenarios.answering import FULL_BYTES, FULL_SIZE
from scenarios.answers import TIMEOUT_S
from scenarios.schedule import Reached, connected_to
from topologies.linux.netns import inside
from topologies.services import Service

_UDP_HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
# linux/in.h and in6.h, which Python does not name. `probe`: never in pieces, and whatever was heard of the path's MTU: what the
# sender's own link takes is sent (RFC 4821).
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_OURS = frozenset({errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_GIVEN_UP = 408
"""By a server to which not all of a request came. With any other status below 500 it has, be it one that refuses so long a header."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why none came. `ours`: the host did not let us ask, which tells nothing of the stack."""

    why: str
    ours: bool = False


def unanswered_in_full_size(namespace: Path, service: Service, vip: str) -> NoAnswer | None:
    """None where a udp, http or https service answers packets of FULL_BYTES to that vantage at that VIP."""

    def body() -> NoAnswer | None:
        try:
            why = _udp(vip, service.port) if service.protocol == "udp" else _http(service, vip)
        except OSError as error:
            return _of(error)
        return NoAnswer(why) if why else None

    return inside(namespace, body)


def _of(error: OSError) -> NoAnswer:
    told = f"{type(error).__name__}: {error}"
    if error.errno == errno.EMSGSIZE:
        return NoAnswer(f"its own link does not take {FULL_SIZE}: {told}")
    ours = error.errno in _OURS
    return NoAnswer(f"they could not be sent: {told}" if ours else told, ours)


def _udp(vip: str, port: int) -> str:
    with socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_S)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        question = payload(0, FULL_BYTES - _UDP_HEADERS[sock.family])
        sock.sendto(question, (vip, port))
        answer = sock.recv(65536)
    if answer.startswith(question):
        return ""
    return f"answers {len(answer)} bytes, {answer[:16]!r} …, to an echo of {len(question)}"


def _http(service: Service, vip: str) -> str:
    """Of the first version without an answer."""
    for target in connected_to([Reached(service, vip, "")]):
        answer, _ = ask(target, TIMEOUT_S, FULL_BYTES)
        if answer.status >= 500 or answer.status == _GIVEN_UP:
            return f"answers {answer.status} by HTTP/{target.http}"
    return ""
