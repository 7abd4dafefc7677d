"""Sends what the prober sends, one packet at a time, from a namespace. Knows nothing of drops."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType

from scapy.packet import Packet

from probes.packets import payload
from tests.probes.wire import CLIENT, CLIENT6
from topologies.linux.netns import inside

PORT = 20000
_MTU_DISCOVER, _PROBE = 10, 3  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE: do not fragment, whatever the path is said to take
_MTU_DISCOVER6 = 23


def probe_payload(flow: int, seq: int, padding: int = 0, before: bytes = b"") -> bytes:
    whole = payload(flow)
    return before + whole[:8] + seq.to_bytes(8, "big") + whole[16:] + bytes(padding)


class Sender:
    """One UDP socket per family, open as long as this, so that answers find one. A context manager."""

    def __init__(self, namespace: Path, source: str = CLIENT, source6: str = CLIENT6) -> None:
        def opened() -> tuple[socket.socket, socket.socket, socket.socket]:
            four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            four.bind((source, PORT))
            six.bind((source6, PORT))
            four.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _PROBE)
            six.setsockopt(socket.IPPROTO_IPV6, _MTU_DISCOVER6, _PROBE)
            return four, six, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

        self.four, self.six, self._raw = inside(namespace, opened)

    def probe(
        self, flow: int, seq: int, *, to: tuple[str, int], ttl: int = 64, padding: int = 0, before: bytes = b""
    ) -> None:
        """Sends one, whatever an earlier one was answered. Raises OSError when this one is refused."""
        sender = self.six if ":" in to[0] else self.four
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if ":" in to[0] else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        sender.setsockopt(level, option, ttl)
        sender.sendto(probe_payload(flow, seq, padding, before), to)

    def probes(self, flow: int, to: tuple[str, int], *, count: int = 3, ttl: int = 64, padding: int = 0) -> set[int]:
        """Sequence numbers of what was sent."""
        for seq in range(count):
            self.probe(flow, seq, to=to, ttl=ttl, padding=padding)
        return set(range(count))

    def packet(self, whole: Packet) -> None:
        """A whole IPv4 packet."""
        self._raw.sendto(bytes(whole), (whole.dst, 0))

    def answers(self, count: int, *, family: int = 4, deadline_s: float = 8.0) -> None:
        """Returns once so many datagrams came back. Raises TimeoutError."""
        receiver = self.six if family == 6 else self.four
        receiver.settimeout(deadline_s)
        for _ in range(count):
            receiver.recv(4096)

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in (self.four, self.six, self._raw):
            held.close()
