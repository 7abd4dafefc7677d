"""Tells at once when a backend loses or regains its route: what BFD and BGP found out. It must not know health or rings.

Any change of routes, next hops or links is only a reason to ask the kernel again: what it flushes with a link or a
next hop it never announces. Sources: rtnetlink(7), linux/rtnetlink.h; standard library alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

_NLMSG_ERROR, _RTM_NEWROUTE, _RTM_GETROUTE = 2, 24, 26
_NLM_F_REQUEST = 1
_RTA_DST = 1
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_HEADER, _ROUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBBBBBI")
_GROUPS = 1 << 0 | 1 << 6 | 1 << 31  # RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_NEXTHOP
_DEADLINE_S = 1.0
FLAP_NS = 1_000_000_000


def question(address: IPv4Address, sequence: int) -> bytes:
    """RTM_GETROUTE: which way to this address?"""
    body = _ROUTE.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0) + struct.pack("=HH", 8, _RTA_DST) + address.packed
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, sequence, 0) + body


def answer(datagram: bytes, sequence: int) -> bool | None:
    """Whether the answer to that question names a way; None if this datagram is not the answer to it."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, found, _ = _HEADER.unpack_from(datagram, at)
        if length < _HEADER.size or at + length > len(datagram):
            return None
        if found == sequence and kind == _NLMSG_ERROR:
            return False  # ENETUNREACH, or what a route of type unreachable, blackhole or prohibit stands for
        if found == sequence and kind == _RTM_NEWROUTE and length >= _HEADER.size + _ROUTE.size:
            return _ROUTE.unpack_from(datagram, at + _HEADER.size)[7] in (_RTN_UNICAST, _RTN_LOCAL)
        at += (length + 3) & ~3
    return None


class Asker:
    """Asks the kernel of the network namespace it was made in; a question takes microseconds."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(_DEADLINE_S)
        self._sequence = 0

    def routed(self, address: IPv4Address) -> bool:
        """Whether there is a route. Raises OSError (TimeoutError included)."""
        self._sequence += 1
        self._socket.send(question(address, self._sequence))
        while True:
            found = answer(self._socket.recv(65536), self._sequence)
            if found is not None:
                return found

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True)
class Way:
    """Whether an address has a route, and since when not (CLOCK_MONOTONIC, in nanoseconds)."""

    routed: bool
    lost_ns: int = 0

    def after(self, routed: bool, now_ns: int) -> Way:
        """As seen now."""
        return self if routed == self.routed else Way(routed, self.lost_ns if routed else now_ns)

    def was_a_flap(self, now_ns: int) -> bool:
        """Whether a route that is back now was away so briefly that what is behind it cannot have been restarted."""
        return now_ns - self.lost_ns < FLAP_NS


class RouteWatch:
    """Which of some addresses have a route; `changed(address, way)` is called in the loop whenever one changes."""

    def __init__(self, addresses: Iterable[IPv4Address], changed: Callable[[IPv4Address, Way], None]) -> None:
        self._changed = changed
        self._asker = Asker()
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._events.bind((0, _GROUPS))
        self._ways = {address: Way(self._asker.routed(address)) for address in addresses}

    def routed(self, address: IPv4Address) -> bool:
        """As last seen."""
        return self._ways[address].routed

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watches from now on."""
        loop.add_reader(self._events, self._noticed)

    def _noticed(self) -> None:
        with contextlib.suppress(OSError):  # EAGAIN: read up; ENOBUFS: more than could be told, all the same here
            while True:
                self._events.recv(65536)
        self.look()

    def look(self) -> None:
        """Asks again about every address."""
        for address, before in self._ways.items():
            with contextlib.suppress(OSError):  # no answer is no news
                way = before.after(self._asker.routed(address), time.monotonic_ns())
                if way is not before:
                    self._ways[address] = way
                    self._changed(address, way)

    def close(self) -> None:
        """Stops watching."""
        with contextlib.suppress(RuntimeError):  # no loop runs any more
            asyncio.get_running_loop().remove_reader(self._events)
        self._events.close()
        self._asker.close()
