"""Events and drops that nodes hand over themselves: JSON lines on a UNIX stream socket on which the node listens.

It knows sockets by node's name; where a node keeps its socket, and how that is reached, it must not know."""

from __future__ import annotations

import errno
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probes.watch.drops import HandedDrop
from probes.watch.event import TimelineEvent
from reports.evidence.handed import Drop, decode

ACC_NS = 1_000_000
"""A node reads the clock itself, between noticing and writing; its scheduler can come in between."""

RETRY_NS = 250_000_000
CALM_NS = 2_000_000_000
"""How often nodes are asked for while every one known is connected, and while one is not (RETRY_NS)."""

LONGEST_LINE = 1 << 16
PIECE = 1 << 16
MOST_READS = 64
"""Bytes taken in one go, and how often in one step: a node that writes without end keeps nobody else waiting."""

REMEMBERED = 1024
"""Lines of a node that are known again: who is connected to anew may be sent the newest once more."""

Sockets = Callable[[], Mapping[str, Path]]


def parse(node: str, line: bytes, now_ns: int) -> TimelineEvent | HandedDrop:
    """A line as what it tells. Raises ValueError, saying why, also for an instant that is not yet."""
    read = decode(line)
    for name in ("t_ns", "last_ns"):
        if getattr(read, name, 0) > now_ns:
            raise ValueError(f"{name} is not of CLOCK_MONOTONIC: it has not come yet")
    if isinstance(read, Drop):
        return HandedDrop(
            node, read.source, read.reason, read.flow, read.count, read.first_ns, read.last_ns, read.detail
        )
    return TimelineEvent(
        read.t_ns, ACC_NS, node, read.source, read.what, read.detail, read.peer, read.interface, read.prefix
    )


@dataclass
class Taken:
    """What one step brought: events, drops, and complaints that are new."""

    events: list[TimelineEvent] = field(default_factory=list)
    drops: list[HandedDrop] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Lines:
    """Lines out of a stream that comes in pieces. One that never ends is given up."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The lines that are whole now, without blank ones."""
        *whole, self._held = (self._held + data).split(b"\n")
        if len(self._held) > LONGEST_LINE:
            whole.append(self._held)
            self._held = b""
        return [line for line in whole if line.strip()]


class Recent:
    """The newest lines of one node."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._order: deque[bytes] = deque()
        self._lines: set[bytes] = set()
        self._most = most

    def is_new(self, line: bytes) -> bool:
        """Whether it is not among them; from now on it is."""
        if line in self._lines:
            return False
        self._order.append(line)
        self._lines.add(line)
        if len(self._order) > self._most:
            self._lines.discard(self._order.popleft())
        return True


class Handed:
    """The listening ends of all nodes. `step` is called again and again; it never waits and never raises."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._open: dict[str, tuple[socket.socket, Lines]] = {}
        self._known: set[str] = set()
        self._recent: dict[str, Recent] = {}
        self._asked_ns = 0
        self.failing: dict[str, tuple[int, str]] = {}
        """Node → since when it cannot be connected to, and why; those that are not there at all are not in it."""
        self.malformed: Counter[str] = Counter()

    def filenos(self) -> dict[int, str]:
        """Descriptors that are worth waiting for."""
        return {opened.fileno(): node for node, (opened, _) in self._open.items()}

    def step(self) -> Taken:
        """What came in since the last one."""
        taken = Taken()
        for node in list(self._open):
            self._read(node, taken)
        now = time.monotonic_ns()
        calm = bool(self._known) and self._known <= self._open.keys()
        if now - self._asked_ns >= (CALM_NS if calm else RETRY_NS):
            self._asked_ns = now
            taken.complaints += self._connect(now)
        return taken

    def _connect(self, now_ns: int) -> list[str]:
        try:
            wanted = self._sockets()
        except Exception as error:  # the caller's own, about a lab that may be half gone
            return [f"where nodes hand over their events is not known: {error}"]
        self._known |= wanted.keys()
        self.failing = {node: since for node, since in self.failing.items() if node in wanted}
        for node, path in wanted.items():
            if node in self._open:
                continue
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            opened.setblocking(False)
            try:
                opened.connect(str(path))
            except OSError as error:
                opened.close()
                since = self.failing.get(node, (now_ns, ""))[0]
                self.failing[node] = since, error.strerror or str(error)
            else:
                self.failing.pop(node, None)
                self._open[node] = opened, Lines()
        return []

    def _read(self, node: str, taken: Taken) -> None:
        opened, lines = self._open[node]
        for _ in range(MOST_READS):
            try:
                data = opened.recv(PIECE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                data = b""
            if not data:  # the node ended, or let go of us: it is tried again
                opened.close()
                del self._open[node]
                return
            now = time.monotonic_ns()
            recent = self._recent.setdefault(node, Recent())
            for line in lines.feed(data):
                if not recent.is_new(line):
                    continue
                try:
                    told = parse(node, line, now)
                except ValueError as error:
                    if not self.malformed[node]:
                        taken.complaints.append(f"{node} handed over a line that cannot be used: {error}")
                    self.malformed[node] += 1
                else:
                    if isinstance(told, HandedDrop):
                        taken.drops.append(told)
                    else:
                        taken.events.append(told)

    def close(self) -> None:
        for opened, _ in self._open.values():
            opened.close()
        self._open.clear()
