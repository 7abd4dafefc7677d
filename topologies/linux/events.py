"""What happens in a running lab, as it happens: nodes that end and start, interfaces that come, go and change. It changes nothing.

Sources: rtnetlink(7) for interfaces, pidfd_open(2) for a node's first process. The shape is that of `containerlab events`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

import msgspec

from topologies.linux.dumps import Dumps, attributes, messages, number
from topologies.linux.lab import LinuxLab
from topologies.linux.netns import inside

_NEWLINK, _DELLINK, _GETLINK, _GROUP_LINK = 16, 17, 18, 1
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_NAME, _MTU, _OPERSTATE = 3, 4, 16
_IFF_UP = 1
_OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")  # RFC 2863
LOOK_S = 0.1
"""How often a node that ended is looked at: no event tells that it was started again."""
BUFFER = 1 << 20


class LabEvent(msgspec.Struct, frozen=True):
    """`t_ns`: CLOCK_MONOTONIC when it was read, a moment after it happened. `node` by its name in the topology."""

    t_ns: int
    timestamp: str
    type: Literal["container", "interface"]
    action: Literal["start", "die", "create", "update", "delete"]
    node: str
    attributes: dict[str, str] = {}


def _event(
    kind: Literal["container", "interface"],
    action: Literal["start", "die", "create", "update", "delete"],
    node: str,
    **more: str,
) -> LabEvent:
    return LabEvent(time.monotonic_ns(), datetime.now(UTC).isoformat(), kind, action, node, more)


def _described(body: bytes) -> tuple[int, dict[str, str]]:
    """An interface's index, and what is told of it."""
    _, _, index, flags, _ = _LINK.unpack_from(body)
    given = dict(attributes(body, _LINK.size))
    state = given.get(_OPERSTATE, b"\0")[0]
    return index, {
        "ifname": given.get(_NAME, b"?").rstrip(b"\0").decode("ascii", "replace"),
        "index": str(index),
        "mtu": str(number(given[_MTU])) if _MTU in given else "",
        "set": "up" if flags & _IFF_UP else "down",
        "state": _OPERSTATES[state] if state < len(_OPERSTATES) else str(state),
    }


class _Node:
    """One node's interfaces and first process, from when it is opened until it ends."""

    def __init__(self, name: str, pid: int, lab: LinuxLab) -> None:
        """Raises ProcessLookupError where that process is gone."""
        self.name = name
        self.process = os.pidfd_open(pid)
        self._seen: dict[int, dict[str, str]] = {}
        try:
            self.links = inside(lab.netns(name), self._listen)
        except BaseException:
            os.close(self.process)
            raise

    def _listen(self) -> socket.socket:
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        link.bind((0, _GROUP_LINK))
        with Dumps() as dumps:  # what there is already is no news
            self._seen = dict(_described(body) for body in dumps.ask(_GETLINK, bytes(_LINK.size)))
        return link

    def read(self) -> list[LabEvent]:
        """What its interfaces did; the same told twice is told once."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                for kind, body in messages(self.links.recv(1 << 16)):
                    if kind in (_NEWLINK, _DELLINK):
                        found += self._told(kind, body)
        return found

    def _told(self, kind: int, body: bytes) -> list[LabEvent]:
        index, now = _described(body)
        known = self._seen.get(index)
        if kind == _DELLINK:
            self._seen.pop(index, None)
            return [_event("interface", "delete", self.name, **now)]
        if known == now:
            return []
        self._seen[index] = now
        return [_event("interface", "update" if known else "create", self.name, **now)]

    def close(self) -> None:
        self.links.close()
        os.close(self.process)


class LabEvents:
    """A context manager; iterate over it, or call `read` for what came within a time. A dead node's interfaces are not watched."""

    def __init__(self, lab: LinuxLab) -> None:
        self._lab = lab
        self._nodes: dict[str, _Node] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> LabEvents:
        self._look_for_the_living()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        for node in self._nodes.values():
            node.close()

    def _look_for_the_living(self) -> list[str]:
        """Nodes that have a first process now and had none before."""
        found = []
        for name in self._lab.topology.nodes:
            pid = self._lab.init_pid(name) if name not in self._nodes else None
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    node = self._nodes[name] = _Node(name, pid, self._lab)
                    self._selector.register(node.links, selectors.EVENT_READ, name)
                    self._selector.register(node.process, selectors.EVENT_READ, name)
                    found.append(name)
        return found

    def _heard(self, name: str, *, ended: bool) -> list[LabEvent]:
        node = self._nodes[name]
        found = node.read()
        if ended:
            self._selector.unregister(node.links)
            self._selector.unregister(node.process)
            node.close()
            del self._nodes[name]
            found.append(_event("container", "die", name))
        return found

    def read(self, seconds: float) -> list[LabEvent]:
        """What happened until something did, or the time was over."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            whole = len(self._nodes) == len(self._lab.topology.nodes)
            ready = [key for key, _ in self._selector.select(max(0, left if whole else min(left, LOOK_S)))]
            ended = {key.data for key in ready if isinstance(key.fileobj, int)}
            found = [event for name in {key.data for key in ready} for event in self._heard(name, ended=name in ended)]
            if not whole:
                found += [_event("container", "start", name) for name in self._look_for_the_living()]
            if found or left <= 0:
                return found

    def __iter__(self) -> Iterator[LabEvent]:
        while True:
            yield from self.read(3600)
