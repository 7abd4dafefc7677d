"""Which probes passed, or were cut on, which link, as the wires noted it: a bit for each. Pure; sights.h is the kernel's side.

It knows flows by their id and what tells a probe from its answer on the wire, and neither nodes nor what became of a probe.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANSWER = 1
CUT = 2
SLOTS = 128
PER_SLOT = 32
_KEY = struct.Struct("=IIHBB")

Slots = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sight:
    """Probes of one flow over one link in one direction.

    `toward` is, of UDP, source port << 16 | destination port; of ICMP, its type; of TCP, the last four bytes of the client's
    address as the kernel holds them. `flow` is the probe flow's id, of TCP the last eight bits of it. `sender` is the number of
    the end that sent the frame. `kind`: ANSWER, CUT.
    """

    flow: int
    toward: int
    sender: int
    protocol: int
    kind: int


@dataclass(frozen=True, slots=True)
class Sights:
    """All that was noted. `full`: probes that found no room, the instrument's own loss.

    The last 4,096 probes of each flow are told. Of what is older `has` says that it was not seen, and `forgot` that nobody knows.
    """

    slots: dict[Sight, Slots]
    full: int = 0

    @classmethod
    def of(cls, items: Iterable[tuple[bytes, bytes]], full: int = 0) -> Sights:
        """From the map's raw entries."""
        return cls({Sight(*_KEY.unpack(key)): np.frombuffer(value, np.uint64) for key, value in items}, full)

    def has(self, sight: Sight, seq: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of these sequence numbers (of TCP, modulo 2^24), which were seen there."""
        number, held = self._held(sight, seq)
        bit = (seq % PER_SLOT).astype(np.uint64)
        current = held >> np.uint64(32) == (number & np.uint64(0xFFFFFFFF))
        seen: NDArray[np.bool_] = current & ((held >> bit) & np.uint64(1) == 1)
        return seen

    def forgot(self, sight: Sight, seq: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of these sequence numbers, those whose place a newer probe has taken there since."""
        number, held = self._held(sight, seq)
        newer: NDArray[np.bool_] = held >> np.uint64(32) > (number & np.uint64(0xFFFFFFFF))
        return newer

    def _held(self, sight: Sight, seq: NDArray[np.int64]) -> tuple[Slots, Slots]:
        """Which number each is kept under, and what is in its place now: 0 where nothing ever was."""
        number = (seq // PER_SLOT).astype(np.uint64)
        slots = self.slots.get(sight, np.zeros(SLOTS, np.uint64))
        return number, slots[(number % np.uint64(SLOTS)).astype(np.int64)]
