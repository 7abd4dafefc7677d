"""Whether an address answers pings at all (RFC 792, RFC 4443): asked once, before anything is measured."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.packet import Raw

from topologies.linux.netns import inside

TRIES, TIMEOUT_S = 3, 0.4
_BODY = b"nospof: anybody?"
_REPLY, _REPLY6 = 0, 129


def answers_ping(namespace: Path, vip: str) -> bool:
    """Whether one of a few pings is answered. Raises OSError where the namespace gives no raw socket."""

    def body() -> bool:
        family, protocol = (
            (socket.AF_INET6, socket.IPPROTO_ICMPV6) if ":" in vip else (socket.AF_INET, socket.IPPROTO_ICMP)
        )
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            try:
                raw.connect((vip, 0))
                return any(_answered(raw, number) for number in range(TRIES))
            except OSError:  # no route, or told that nobody is there
                return False

    return inside(namespace, body)


def _answered(raw: socket.socket, number: int) -> bool:
    name = os.urandom(2)
    end = time.monotonic() + TIMEOUT_S
    raw.send(_ping(raw.family, int.from_bytes(name, "big"), number))
    while (left := end - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            heard = raw.recv(2048)
        except TimeoutError:
            return False
        if raw.family == socket.AF_INET:
            heard = heard[4 * (heard[0] & 15) :]  # behind the IP header
        if heard[:1] == bytes([_REPLY6 if raw.family == socket.AF_INET6 else _REPLY]) and heard[4:6] == name:
            return True
    return False


def _ping(family: int, name: int, number: int) -> bytes:
    """An echo request; ICMPv6's checksum, over addresses that only the kernel knows, the kernel fills in."""
    if family == socket.AF_INET6:
        return bytes(ICMPv6EchoRequest(id=name, seq=number, data=_BODY))
    return bytes(ICMP(type="echo-request", id=name, seq=number) / Raw(_BODY))
