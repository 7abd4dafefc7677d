"""Probes stamped at the hooks that they pass, as the wires hand them over. It knows numbers of ends, and no nodes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from topologies.linux.bpf import Map, RingBuffer
from topologies.linux.sights import ANSWER

EVERY = 64
"""One probe of so many of a flow is stamped."""
_HOP = struct.Struct("=QQIIIBBBx")  # `struct hop` in sights.h
_COST = struct.Struct("=QQ")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A probe, or its answer, at a hook: CLOCK_MONOTONIC ns, the end's number, and whether it was being sent there. `flow`, `toward`
    and `protocol` as in `sights.Sight`."""

    t_ns: int
    seq: int
    flow: int
    toward: int
    end: int
    sending: bool
    protocol: int
    answer: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What stamping took: CPU time in the hooks, frames that were looked at, stamps that found no room."""

    ns: int
    frames: int
    lost: int


def parse(record: bytes) -> Stamp:
    """A record of the ring. Raises ValueError when it is not whole."""
    if len(record) < _HOP.size:
        raise ValueError(f"a record of {len(record)} bytes")
    t_ns, seq, flow, toward, end, sending, protocol, kind = _HOP.unpack_from(record)
    return Stamp(t_ns, seq, flow, toward, end, bool(sending), protocol, bool(kind & ANSWER))


class Stamping:
    """Stamps while it is open. A context manager; what was stamped before is thrown away."""

    def __init__(self, hops: Map, lost: Map, cost: Map, switch: Callable[[bool], object]) -> None:
        self._lost, self._cost, self._switch = lost, cost, switch
        self._ring = RingBuffer(hops)

    def __enter__(self) -> Stamping:
        self._ring.read()
        self._lost.update(bytes(4), bytes(8))
        self._cost.update(bytes(4), bytes(_COST.size))
        self._switch(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._switch(False)
        self._ring.close()

    def read(self) -> list[Stamp]:
        """Stamps since the last call, in no order that means anything."""
        return [parse(record) for record in self._ring.read()]

    def cost(self) -> Cost:
        """So far."""
        ns, frames = _COST.unpack(self._cost.get(bytes(4)) or bytes(_COST.size))
        return Cost(ns, frames, int.from_bytes(self._lost.get(bytes(4)) or b"\0", "little"))
