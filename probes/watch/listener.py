"""The process that listens to every node's netlink and stamps what it reads. It understands none of it: decoding is later.

It runs in no node's namespace, or a kill of that node would take it along; only its sockets live there.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from probes.watch.journal import Kind, packed

INTERVAL_NS = 2_000_000
"""A silent socket is known to be empty once in this time: it bounds how much earlier than its stamp an event can be."""

PULSE_NS = 100_000_000
RECEIVE_BUFFER = 16 << 20
LARGEST = 1 << 18
CLONE_NEWNET = 0x40000000
SOL_NETLINK = 270
ADD_MEMBERSHIP = 1
SO_RCVBUFFORCE = 33
# rtnetlink(7): links, neighbours, IPv4 and IPv6 addresses and routes; next-hop objects (kernels since 5.3)
GROUPS = (1, 3, 5, 9, 7, 11)
NEXT_HOPS = 32
DUMPS = (18, 30, 22)  # RTM_GETLINK, RTM_GETNEIGH, RTM_GETADDR
GET_NEXT_HOPS = 106
NLMSG_ERROR, NLMSG_DONE = 2, 3
_libc = ctypes.CDLL(None, use_errno=True)


class Plan(msgspec.Struct, frozen=True):
    """The namespaces to listen in, by path, the file to write, and bytes that the kernel may hold for each socket."""

    namespaces: tuple[str, ...]
    journal: str
    receive_buffer: int = RECEIVE_BUFFER


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"entering a network namespace: {os.strerror(code)}")


def open_all(namespaces: Sequence[Path], receive_buffer: int) -> list[socket.socket]:
    """One socket per namespace, subscribed. The caller has one thread only, and stays where it is."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        sockets = []
        for namespace in namespaces:
            handle = os.open(namespace, os.O_RDONLY)
            try:
                _enter(handle)
                sockets.append(_subscribed(receive_buffer))
            finally:
                os.close(handle)
        return sockets
    finally:
        _enter(home)
        os.close(home)


def _subscribed(receive_buffer: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
    opened.bind((0, 0))
    for group in GROUPS:
        opened.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    with suppress(OSError):  # a kernel without next-hop objects has no news of them
        opened.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, NEXT_HOPS)
    return opened


def _request(kind: int, sequence: int) -> bytes:
    """A dump of everything of a kind: NLM_F_REQUEST | NLM_F_DUMP, and an all-zero body."""
    size = 16 if kind == 18 else 12 if kind == 30 else 8
    return struct.pack("=IHHII", 16 + size, kind, 0x301, sequence, 0) + bytes(size)


def _state(from_: socket.socket) -> list[bytes]:
    """What is there now. Raises TimeoutError when the kernel does not answer."""
    from_.settimeout(5)
    answers = []
    for sequence, kind in enumerate((*DUMPS, GET_NEXT_HOPS), 1):
        from_.send(_request(kind, sequence))
        ended = False
        while not ended:
            answers.append(from_.recv(LARGEST))
            ended = _ends(answers[-1], sequence)
    from_.setblocking(False)
    return answers


def _ends(answer: bytes, sequence: int) -> bool:
    at = 0
    while at + 16 <= len(answer):
        length, kind, _, number, _ = struct.unpack_from("=IHHII", answer, at)
        if kind in (NLMSG_DONE, NLMSG_ERROR) and number == sequence:
            return True
        at += max(16, (length + 3) & ~3)
    return False


class Listener:
    """Reads until its standard input is closed."""

    def __init__(self, sockets: Sequence[socket.socket], journal: int) -> None:
        self._sockets = sockets
        self._journal = journal
        self._node_of = {s.fileno(): number for number, s in enumerate(sockets)}
        self._drained = dict.fromkeys(self._node_of, 0)
        self._silent_ns = 0

    def record_state(self) -> None:
        """What every namespace holds now, as entries of their own kind."""
        for number, opened in enumerate(self._sockets):
            for answer in _state(opened):
                self._write(Kind.STATE, number, time.monotonic_ns(), 0, answer)
            self._drained[opened.fileno()] = time.monotonic_ns()

    def _write(self, kind: Kind, node: int, t_ns: int, since_ns: int, data: bytes = b"") -> None:
        os.write(self._journal, packed(kind, node, t_ns, since_ns, data))

    def run(self, until_closed: int) -> None:
        poller = select.epoll()
        for fd in self._node_of:
            poller.register(fd, select.EPOLLIN)
        poller.register(until_closed, select.EPOLLIN)
        pulse_ns = worst_ns = 0
        while True:
            entered = time.monotonic_ns()
            ready = poller.poll(INTERVAL_NS / 1e9)
            returned = time.monotonic_ns()
            worst_ns = max(worst_ns, returned - entered - INTERVAL_NS)
            for fd, _ in ready:
                if fd == until_closed:
                    return
                self._drain(fd)
            # Those that were not ready were empty when the kernel looked: after the whole wait, or at its beginning at least.
            self._silent_ns = entered if ready else entered + INTERVAL_NS
            now = time.monotonic_ns()
            worst_ns = max(worst_ns, now - returned)
            if now - pulse_ns >= PULSE_NS:
                self._write(Kind.PULSE, 0, now, worst_ns)
                pulse_ns, worst_ns = now, 0

    def _drain(self, fd: int) -> None:
        node = self._node_of[fd]
        while True:
            since = max(self._silent_ns, self._drained[fd])
            before = time.monotonic_ns()
            try:
                data = self._sockets[node].recv(LARGEST)
            except BlockingIOError:
                self._drained[fd] = before
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._write(Kind.OVERFLOW, node, time.monotonic_ns(), since)
                continue
            self._write(Kind.NEWS, node, time.monotonic_ns(), since, data)


def listen(plan: Plan) -> None:
    """Says `listening` on standard output when every later event will be seen, and returns when its input is closed."""
    sockets = open_all([Path(path) for path in plan.namespaces], plan.receive_buffer)
    journal = os.open(plan.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    listener = Listener(sockets, journal)
    listener.record_state()
    gc.disable()  # the loop makes no cycles, and a collection would make a stamp late
    print("listening", flush=True)
    listener.run(0)
