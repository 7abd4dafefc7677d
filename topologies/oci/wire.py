"""The wire on every link: cutting nodes and links in one step, and tapping which flows cross a node.

It speaks of node numbers and interface indices only; names belong to the lab. Source: wire.bpf.c.
"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from topologies.image.native import compile_bpf
from topologies.oci.bpf import Map, Object
from topologies.oci.hearing import Hearing

NODE_CUT = 1
NODE_TAP = 2
CUT_OUT = 1
CUT_IN = 2
MAPS = ("ends", "nodes", "taps", "cut_frames", "tap_full", "heard", "heard_lost")


@dataclass(frozen=True, slots=True)
class Flow:
    """An innermost 5-tuple as it was on the wire: addresses as text, ports in host order, protocol number."""

    src: str
    sport: int
    dst: str
    dport: int
    protocol: int

    def reversed(self) -> Flow:
        """The 5-tuple of the answers."""
        return Flow(self.dst, self.dport, self.src, self.sport, self.protocol)


@dataclass(frozen=True, slots=True)
class Seen:
    """Frames of one flow towards and from one node since the tap was opened; times are CLOCK_MONOTONIC ns."""

    into: int
    out: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Instant:
    """When something took effect in the kernel: between `before_ns` and `after_ns`, CLOCK_MONOTONIC."""

    before_ns: int
    after_ns: int

    @property
    def spread_ns(self) -> int:
        return self.after_ns - self.before_ns


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _address(raw: bytes) -> str:
    """An IPv4 address stands in the first four bytes, the rest zero; no IPv6 address of a lab looks like that."""
    return str(ipaddress.IPv4Address(raw[:4]) if raw[4:] == bytes(12) else ipaddress.IPv6Address(raw))


class Wire:
    """The maps of one lab's wires, open for writing."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = dict(maps)

    @classmethod
    def load(cls) -> tuple[Wire, Object]:
        """A fresh set of maps and the object whose programs `wire_in` and `wire_out` are to be attached."""
        loaded = Object(compile_bpf(Path(__file__).with_name("wire.bpf.c")))
        return cls({name: loaded.map(name) for name in MAPS}), loaded

    @classmethod
    def open(cls, ids: Mapping[str, int]) -> Wire:
        """The maps of a running lab, by kernel id. Raises BpfError when the lab is gone."""
        return cls({name: Map.by_id(number) for name, number in ids.items()})

    def ids(self) -> dict[str, int]:
        return {name: m.id for name, m in self._maps.items()}

    def place(self, ends: Iterable[tuple[int, int, int]]) -> None:
        """Tells the wires who is where: (interface index, node number, peer's number)."""
        self._maps["ends"].update_all([(_u32(i), struct.pack("=III", node, peer, 0)) for i, node, peer in ends])

    def _flags(self, node: int) -> int:
        raw = self._maps["nodes"].get(_u32(node))
        return 0 if raw is None else int.from_bytes(raw, "little")

    def _change(self, nodes: Iterable[int], flag: int, on: bool) -> Instant:
        pairs = [(_u32(n), _u32(self._flags(n) | flag if on else self._flags(n) & ~flag)) for n in nodes]
        before = time.monotonic_ns()
        self._maps["nodes"].update_all(pairs)
        return Instant(before, time.monotonic_ns())

    def cut_nodes(self, nodes: Iterable[int]) -> Instant:
        """All links of these nodes, both directions, silently, in one step."""
        return self._change(nodes, NODE_CUT, on=True)

    def join_nodes(self, nodes: Iterable[int]) -> Instant:
        return self._change(nodes, NODE_CUT, on=False)

    def cut_end(self, index: int, flags: int) -> Instant:
        """Cuts one end's directions (`CUT_OUT`, `CUT_IN`), or mends it with 0."""
        key = _u32(index)
        node, peer, _ = struct.unpack("=III", self._maps["ends"].get(key) or bytes(12))
        before = time.monotonic_ns()
        self._maps["ends"].update(key, struct.pack("=III", node, peer, flags))
        return Instant(before, time.monotonic_ns())

    def cut_frames(self, node: int) -> int:
        """Frames of this node dropped by a cut so far."""
        return int.from_bytes(self._maps["cut_frames"].get(_u32(node)) or b"\0", "little")

    def tap(self, nodes: Iterable[int]) -> None:
        """Forgets what was tapped before and records the flows through these nodes from now on."""
        taps = self._maps["taps"]
        for key in list(taps.keys()):
            taps.delete(key)
        self._maps["tap_full"].update(_u32(0), bytes(8))
        self._change(nodes, NODE_TAP, on=True)

    def untap(self, nodes: Iterable[int]) -> None:
        self._change(nodes, NODE_TAP, on=False)

    def tapped(self) -> dict[tuple[int, Flow], Seen]:
        """What the taps saw: (node number, flow) → frames and times."""
        found = {}
        taps = self._maps["taps"]
        for key in list(taps.keys()):
            raw = taps.get(key)
            if raw is None:
                continue
            sport, dport = struct.unpack("!HH", key[32:36])
            protocol, node = struct.unpack("=HH", key[36:40])
            flow = Flow(_address(key[:16]), sport, _address(key[16:32]), dport, protocol)
            found[node, flow] = Seen(*struct.unpack("=QQQQ", raw))
        return found

    def tap_overflow(self) -> int:
        """Flows that could not be recorded; anything but 0 makes "touched" untrustworthy."""
        return int.from_bytes(self._maps["tap_full"].get(_u32(0)) or b"\0", "little")

    def hear(self) -> Hearing:
        """What routers tell each other from now on; one reader of a lab at a time. Close it before the wires."""
        return Hearing(self._maps["heard"], self._maps["heard_lost"])

    def close(self) -> None:
        for m in self._maps.values():
            m.close()
