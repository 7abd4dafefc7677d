"""What routers told each other, as the wires heard it: whole packets with the kernel's stamp. Knows no protocol of theirs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import TracebackType

from topologies.linux.bpf import Map, RingBuffer

_HEAD = struct.Struct("=QIIII")  # `struct heard` in wire.bpf.c


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet at its sender's egress, before any cut. `packet` begins with the IP header; `length` is what it had
    in full. `t_ns` is CLOCK_MONOTONIC, `index` the number of the end that sent it, `node` the sender's number."""

    t_ns: int
    index: int
    node: int
    length: int
    packet: bytes


def parse(record: bytes) -> Heard:
    """A record of the ring. Raises ValueError when it is not whole."""
    if len(record) < _HEAD.size:
        raise ValueError(f"a record of {len(record)} bytes")
    t_ns, index, node, length, copied = _HEAD.unpack_from(record)
    packet = record[_HEAD.size : _HEAD.size + copied]
    if len(packet) != copied:
        raise ValueError(f"a record with {len(packet)} of its {copied} bytes")
    return Heard(t_ns, index, node, length, packet)


class Hearing:
    """Reads a lab's ring from the moment it is opened; what nobody read before is thrown away."""

    def __init__(self, ring: Map, lost: Map) -> None:
        self._lost = lost
        self._ring = RingBuffer(ring)
        self._ring.read()
        self._lost_before = self._count()

    def _count(self) -> int:
        return int.from_bytes(self._lost.get(bytes(4)) or b"\0", "little")

    def read(self) -> list[Heard]:
        """Packets since the last call, oldest first."""
        return [parse(record) for record in self._ring.read()]

    def lost(self) -> int:
        """Packets that found the ring full since it was opened: anything but 0 is a gap."""
        return self._count() - self._lost_before

    def close(self) -> None:
        self._ring.close()

    def __enter__(self) -> Hearing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
