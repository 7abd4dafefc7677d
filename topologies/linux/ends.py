"""The ends of a lab's links: who they are, and what the kernel and the wires call them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from topologies.model import Topology

FIRST_INDEX = 10  # below are lo and what the kernel makes by itself


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: node, interface, the kernel's index in that node, link MTU, MAC.

    `label` is set where indices are not unique in the lab: the wires then call the end by it."""

    node: str
    interface: str
    index: int
    mtu: int
    mac: str
    label: int = 0

    @property
    def number(self) -> int:
        """Unique in the lab; what the wires call this end."""
        return self.label or self.index


def mac_of(lab: str, node: str, interface: str) -> str:
    """A locally administered MAC from the names: the same lab has the same link-local addresses every time."""
    raw = bytearray(hashlib.sha256(f"{lab}/{node}/{interface}".encode()).digest()[:6])
    raw[0] = (raw[0] & 0xFC) | 0x02
    return raw.hex(":")


def ends_of(topology: Topology) -> dict[str, list[End]]:
    """Node → its link ends. Interface indices are unique in the lab: the same index at both ends delays loss of carrier."""
    ends: dict[str, list[End]] = {name: [] for name in topology.nodes}
    index = FIRST_INDEX
    for link in topology.links:
        for point in link.endpoints:
            mac = point.mac or mac_of(topology.name, point.node, point.interface)
            ends[point.node].append(End(point.node, point.interface, index, link.mtu, mac))
            index += 1
    return ends


def pairs_of(ends: Mapping[str, Sequence[End]]) -> list[tuple[End, End]]:
    """The links as pairs of ends, in the file's order."""
    flat = sorted((end for found in ends.values() for end in found), key=lambda end: end.number)
    return list(zip(flat[::2], flat[1::2], strict=True))
