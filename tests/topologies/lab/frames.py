"""Frames at a node's interfaces, captured by packet sockets, and UDP sent from a node's namespace. Knows no wires and no taps."""

from __future__ import annotations

import errno
import socket
import struct
from collections import Counter
from pathlib import Path
from types import TracebackType

from topologies.linux.netns import inside

ETH_P_ALL = 3
PACKET_OUTGOING = 4
UDP = 17
IPIP = 4
_IPV4 = bytes((8, 0))


class Capture:
    """Every frame that a namespace receives while this is open; a capture stands before any filter of the receiver."""

    def __init__(self, namespace: Path) -> None:
        def opened() -> socket.socket:
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))

        self._socket = inside(namespace, opened)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setblocking(False)
        self._frames: list[tuple[str, bytes]] = []

    def frames(self) -> list[tuple[str, bytes]]:
        """(interface, frame) of everything received so far, without loopback and the namespace's own."""
        while True:
            try:
                frame, address = self._socket.recvfrom(2048)
            except BlockingIOError:
                return self._frames
            if address[2] != PACKET_OUTGOING and address[0] != "lo":
                self._frames.append((address[0], frame))

    def udp(self, port: int) -> Counter[str]:
        """Interface → UDP datagrams over IPv4 without options received for that port."""
        found: Counter[str] = Counter()
        for interface, frame in self.frames():
            if frame[12:14] == _IPV4 and frame[23] == UDP and struct.unpack("!H", frame[36:38])[0] == port:
                found[interface] += 1
        return found

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def send_connected(
    namespace: Path, source: tuple[str, int], to: tuple[str, int], *, sockets: int = 1, each: int = 1
) -> None:
    """Datagrams from `sockets` connected sockets, one after another: each has a hash of its own in the kernel."""

    def body() -> None:
        for _ in range(sockets):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sender.bind(source)
                sender.connect(to)
                for _ in range(each):
                    _surely(sender, b"x")

    inside(namespace, body)


def send_raw(namespace: Path, interface: str, frame: bytes, *, count: int) -> None:
    """Whole frames straight to an interface, as a node without any process in it could still send."""

    def body() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((interface, 0))
            for _ in range(count):
                _surely(sender, frame)

    inside(namespace, body)


def send_ip(namespace: Path, packet: bytes, to: str, *, count: int) -> None:
    """A whole IPv4 packet, routed by the namespace."""

    def body() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            for _ in range(count):
                sender.sendto(packet, (to, 0))

    inside(namespace, body)


def _surely(sender: socket.socket, data: bytes) -> None:
    """Sends once. An ICMP answer to an earlier datagram comes back as a refusal *instead of* sending; a cut's drop after it."""
    while True:
        try:
            sender.send(data)
        except ConnectionRefusedError:
            continue
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        return


def udp_packet(source: tuple[str, int], to: tuple[str, int], payload: bytes = b"x") -> bytes:
    """IPv4 + UDP, without a UDP checksum, as IPv4 allows."""
    datagram = struct.pack("!HHHH", source[1], to[1], 8 + len(payload), 0) + payload
    return ip_packet(source[0], to[0], UDP, datagram)


def ip_packet(source: str, to: str, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    words = struct.unpack("!10H", head + addresses)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + addresses + payload


def ethernet(to_mac: str, from_mac: str, packet: bytes) -> bytes:
    return bytes.fromhex(to_mac.replace(":", "")) + bytes.fromhex(from_mac.replace(":", "")) + _IPV4 + packet
