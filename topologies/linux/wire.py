"""The wire on every link: cutting nodes and links in one step, impairing links, and tapping which flows cross a node.

It speaks of node numbers and numbers of link ends only; names belong to the lab. Source: wire.bpf.c.
"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from topologies.image.native import compile_bpf
from topologies.linux.bpf import Map, Object
from topologies.linux.hearing import Hearing
from topologies.linux.sights import Sights
from topologies.linux.stamping import Stamping

NODE_CUT = 1
CUT_OUT = 1
CUT_IN = 2
TAP = 4
SIGHT = 32
HOPS = 64
IMPAIR_OUT = 8
IMPAIR_IN = 16
_PORTS, _TAIL = struct.Struct("!HH"), struct.Struct("=HH")
_SEEN = struct.Struct("=QQQ")  # frames, first, last
_END = struct.Struct("=IIII")  # node, peer, peer's end, flags
_IMPAIRMENT = struct.Struct("=8Q")  # loss, corruption, duplication, detour; frames, lost, corrupted, duplicated
MAPS = (
    "ends",
    "impairments",
    "nodes",
    "taps",
    "cut_frames",
    "tap_full",
    "heard",
    "heard_lost",
    "sights",
    "sights_full",
    "hops",
    "hops_lost",
    "hops_cost",
)


@dataclass(frozen=True, slots=True)
class Flow:
    """An innermost 5-tuple as it was on the wire: addresses as text, ports in host order, protocol number.

    An ICMP echo has its identifier in place of both ports; a SYN, and what accepts it, 0 in place of the client's."""

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
    """One flow in one direction over one link since the taps were last emptied; times are CLOCK_MONOTONIC ns."""

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


@dataclass(frozen=True, slots=True)
class Lots:
    """What a hook draws for each frame, as probabilities, and the index of the tap that frames go through first (0: none)."""

    loss: float = 0.0
    corruption: float = 0.0
    duplication: float = 0.0
    detour: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """Frames that came to an impairing hook since it was told to impair, and what it did to them. Of a train of segments that
    the kernel sends as one, it sees one."""

    frames: int = 0
    lost: int = 0
    corrupted: int = 0
    duplicated: int = 0


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


@lru_cache(maxsize=1 << 14)
def _flow(raw: bytes, protocol: int) -> Flow:
    """From addresses and ports as the tap recorded them. The same flows come again at every hop and every look."""
    sport, dport = _PORTS.unpack_from(raw, 32)
    return Flow(_address(raw[:16]), sport, _address(raw[16:32]), dport, protocol)


def _address(raw: bytes) -> str:
    """An IPv4 address stands in the first four bytes, the rest zero; no IPv6 address of a lab looks like that."""
    return str(ipaddress.IPv4Address(raw[:4]) if raw[4:] == bytes(12) else ipaddress.IPv6Address(raw))


def _tapped(entries: Iterable[tuple[bytes, bytes]]) -> dict[tuple[int, Flow], Seen]:
    found = {}
    for key, value in entries:
        protocol, sender = _TAIL.unpack_from(key, 36)
        _, first, last = _SEEN.unpack(value)
        found[sender, _flow(key[:36], protocol)] = Seen(first, last)
    return found


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

    def place(self, ends: Iterable[tuple[int, int, int, int]]) -> None:
        """Tells the wires who is where: (end's number, its node's, the peer node's, the peer's end's)."""
        self._maps["ends"].update_all([(_u32(i), _END.pack(node, peer, there, 0)) for i, node, peer, there in ends])

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

    def _flag_ends(self, indices: Iterable[int], on: int, off: int) -> Instant:
        changed = []
        for key in map(_u32, indices):
            node, peer, there, flags = _END.unpack(self._maps["ends"].get(key) or bytes(_END.size))
            changed.append((key, _END.pack(node, peer, there, flags & ~off | on)))
        before = time.monotonic_ns()
        self._maps["ends"].update_all(changed)
        return Instant(before, time.monotonic_ns())

    def cut_ends(self, indices: Iterable[int], flags: int = CUT_OUT | CUT_IN) -> Instant:
        """Cuts these directions (`CUT_OUT`, `CUT_IN`) of these ends in one step, and mends their others; 0 mends both."""
        return self._flag_ends(indices, flags, CUT_OUT | CUT_IN)

    def cuts(self) -> set[int]:
        """Numbers of the ends that are cut in some direction now."""
        ends = self._maps["ends"]
        found = ((key, ends.get(key)) for key in ends.keys())  # noqa: SIM118 - no dictionary
        return {int.from_bytes(key, "little") for key, raw in found if raw and _END.unpack(raw)[3] & (CUT_OUT | CUT_IN)}

    def is_cut_off(self, node: int) -> bool:
        """Whether all links of this node are cut now."""
        return bool(self._flags(node) & NODE_CUT)

    def impair(self, number: int, *, sending: bool, lots: Lots | None) -> None:
        """Has the end's sending or receiving hook draw lots from now on, or draw none."""
        flag = IMPAIR_OUT if sending else IMPAIR_IN
        key = _u32(number << 1 | sending)
        if lots is None:
            self._flag_ends([number], 0, flag)
            self._maps["impairments"].delete(key)
            return
        shares = (round(share * (1 << 32)) for share in (lots.loss, lots.corruption, lots.duplication))
        self._maps["impairments"].update(key, _IMPAIRMENT.pack(*shares, lots.detour, 0, 0, 0, 0))
        self._flag_ends([number], flag, 0)

    def drawn(self, number: int, *, sending: bool) -> Drawn:
        """What an impairing hook did so far; nothing where there is none."""
        raw = self._maps["impairments"].get(_u32(number << 1 | sending))
        return Drawn(*_IMPAIRMENT.unpack(raw)[4:]) if raw else Drawn()

    def cut_frames(self, node: int) -> int:
        """Frames of this node dropped by a cut so far."""
        return int.from_bytes(self._maps["cut_frames"].get(_u32(node)) or b"\0", "little")

    def forget_taps(self) -> None:
        """Empties what the taps have recorded so far."""
        self._maps["taps"].clear()
        self._maps["tap_full"].update(_u32(0), bytes(8))

    def tap(self, indices: Iterable[int]) -> None:
        """Records the flows over the links with these ends from now on; name both ends of a link."""
        self._flag_ends(indices, TAP, 0)

    def untap(self, indices: Iterable[int]) -> None:
        self._flag_ends(indices, 0, TAP)

    def tapped(self) -> dict[tuple[int, Flow], Seen]:
        """What the taps saw: (number of the sending end, flow) → times."""
        return _tapped(self._maps["taps"].items())

    def take_tapped(self) -> dict[tuple[int, Flow], Seen]:
        """The same, once: it is let go of, and nothing is lost in between."""
        return _tapped(self._maps["taps"].take())

    def take_tap_overflow(self) -> int:
        """`tap_overflow`, once."""
        found = self.tap_overflow()
        self._maps["tap_full"].update(_u32(0), bytes(8))
        return found

    def tap_overflow(self) -> int:
        """Flows that could not be recorded; anything but 0 makes "touched" untrustworthy."""
        return int.from_bytes(self._maps["tap_full"].get(_u32(0)) or b"\0", "little")

    def sight(self, indices: Iterable[int]) -> None:
        """Notes from now on which probes pass the links with these ends, or are cut there; name both ends of a link. What was
        noted before is forgotten."""
        self._maps["sights"].clear()
        self._maps["sights_full"].update(_u32(0), bytes(8))
        self._flag_ends(indices, SIGHT, 0)

    def unsight(self, indices: Iterable[int]) -> None:
        self._flag_ends(indices, 0, SIGHT)

    def sighted(self) -> Sights:
        """What was noted since `sight`."""
        full = int.from_bytes(self._maps["sights_full"].get(_u32(0)) or b"\0", "little")
        return Sights.of(self._maps["sights"].items(), full)

    def stamp(self, indices: Iterable[int]) -> Stamping:
        """Stamps some probes at the hooks of these ends until it is closed; one reader of a lab at a time."""
        numbers = list(indices)
        hops, lost, cost = (self._maps[name] for name in ("hops", "hops_lost", "hops_cost"))
        return Stamping(hops, lost, cost, lambda on: self._flag_ends(numbers, HOPS if on else 0, 0 if on else HOPS))

    def hear(self) -> Hearing:
        """What routers tell each other from now on; one reader of a lab at a time. Close it before the wires."""
        return Hearing(self._maps["heard"], self._maps["heard_lost"])

    def close(self) -> None:
        for m in self._maps.values():
            m.close()
