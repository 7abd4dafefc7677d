"""Writes decisions into the XDP program's maps and reads its counters. It must not know health checks or routes.

The structs packed here are those of maps.h.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from bpf import Object, attached_xdp, create_array, detach_xdp
from node.drop_maps import DropMaps

from .config import L4Config, Service, Vip
from .counters import COUNTERS
from .maglev import fill

OBJECT_PATH = Path(__file__).with_name("lb.bpf.o")
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_FIRST_GENERATION = 1
_MOST_RINGS = 64  # of 128 KiB each


def address_key(address: Vip) -> bytes:
    """`struct address`: 16 bytes, IPv4 as ::ffff:a.b.c.d."""
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


def service_keys(vip: Vip, service: Service) -> list[bytes]:
    """`struct service_key`, one per port."""
    protocol = _PROTOCOLS[service.protocol]
    return [address_key(vip) + struct.pack("!HBx", port, protocol) for port in service.ports]


def index_key(index: int) -> bytes:
    """An array's key."""
    return struct.pack("I", index)


class DataPlane:
    """The loaded program of one node; attached only by `attach`, so its maps can be filled before the first packet."""

    def __init__(self, config: L4Config, path: Path = OBJECT_PATH) -> None:
        self._config = config
        self._object = Object(path)
        self.program = self._object.program("balance")
        nobody: dict[str, frozenset[str]] = {service.name: frozenset() for service in config.services}
        self._ring, self._pinned = nobody, nobody
        self._filled: dict[frozenset[str], bytes] = {}
        self._object.map("tunnel_source").update(index_key(0), address_key(config.loopback))
        for index, service in enumerate(config.services):
            for vip in service.vips:
                if self._object.map("vips").lookup(address_key(vip)) is None:  # the first service answers its pings
                    self._object.map("vips").update(address_key(vip), index_key(index))
                for key in service_keys(vip, service):
                    self._object.map("services").update(key, index_key(index))
        self._write_backends(nobody, nobody)
        for index in range(len(config.services)):
            self._write_ring(index, frozenset())

    def serve(self, ring: Mapping[str, frozenset[str]], pinned: Mapping[str, frozenset[str]] | None = None) -> None:
        """By service: names of the backends that get new flows, and of those that keep the flows they have.

        New rings first, each in one step, then who may keep pins: while both change, a backend that went down gets no
        new flow, and one that came up is known before it is chosen. Without `pinned` it is those in the ring.
        """
        keeping = ring if pinned is None else {name: ring[name] | pinned[name] for name in ring}
        self._write_backends(
            {name: keeping[name] | self._pinned[name] for name in keeping},
            {name: ring[name] | self._ring[name] for name in ring},
        )
        for index, service in enumerate(self._config.services):
            if ring[service.name] != self._ring[service.name]:
                self._write_ring(index, ring[service.name])
        self._write_backends(keeping, ring)
        self._ring, self._pinned = dict(ring), dict(keeping)

    def prepare(self) -> None:
        """Fills beforehand the rings that one more failure would want: filling takes longer than a packet may wait."""
        for names in set(self._ring.values()):
            for name in names:
                self._slots(names - {name})

    def _write_backends(self, serving: Mapping[str, frozenset[str]], taking: Mapping[str, frozenset[str]]) -> None:
        """By service: who keeps the flows it has, and who gets new ones."""

        def bits(of: Mapping[str, frozenset[str]], name: str) -> int:
            return sum(1 << at for at, service in enumerate(self._config.services) if name in of[service.name])

        for index, backend in enumerate(self._config.backends):
            state = struct.pack("III", _FIRST_GENERATION, bits(serving, backend.name), bits(taking, backend.name))
            value = address_key(backend.address) + state
            self._object.map("backends").update(index_key(index), value)

    def _slots(self, names: frozenset[str]) -> bytes:
        """The ring of these backends as the program reads it; remembered, since few sets are ever asked for."""
        found = self._filled.get(names)
        if found is None:
            ids = {backend.name: at for at, backend in enumerate(self._config.backends)}
            order, ring = fill(dict.fromkeys(names, 1))
            for slot, turn in enumerate(ring) if names else ():
                ring[slot] = ids[order[turn]]
            if len(self._filled) >= _MOST_RINGS:
                self._filled.clear()
            found = self._filled[names] = ring.tobytes()
        return found

    def _write_ring(self, index: int, names: frozenset[str]) -> None:
        """A whole new inner map, then one pointer: no packet sees half a ring."""
        slots = self._slots(names)
        inner = create_array("ring", len(slots), 1)
        try:
            inner.update(index_key(0), slots)
            self._object.map("rings").update(index_key(index), index_key(inner.fd))
        finally:
            inner.close()

    def attach(self) -> bool:
        """Makes sure that every interface has this program; whether all have. One that has it is left alone."""
        for name in self._config.interfaces:
            with contextlib.suppress(OSError):  # an interface that is not there (yet) counts as not attached
                index = socket.if_nametoindex(name)
                if attached_xdp(index) != self.program.id:
                    self.program.attach(index)
        return self.attached()

    def attached(self) -> bool:
        """Whether every interface has this very program."""
        try:
            return all(attached_xdp(socket.if_nametoindex(n)) == self.program.id for n in self._config.interfaces)
        except OSError:
            return False

    def detach(self) -> None:
        """Takes the program off every interface that has it."""
        for name in self._config.interfaces:
            with contextlib.suppress(OSError):
                index = socket.if_nametoindex(name)
                if attached_xdp(index) == self.program.id:
                    detach_xdp(index)

    def last_packet_ns(self) -> int:
        """When the last packet to any VIP came: CLOCK_MONOTONIC, to the kernel's tick; 0 if none has."""
        values = self._object.map("last_packet").lookup_per_cpu(index_key(0))
        return max(int(struct.unpack("Q", value)[0]) for value in values)

    def counters(self) -> dict[str, int]:
        """Every counter's total over CPUs; what each means is in `counters.COUNTERS`."""
        counters = self._object.map("counters")

        def total(index: int) -> int:
            return sum(struct.unpack("Q", value)[0] for value in counters.lookup_per_cpu(index_key(index)))

        return {name: total(index) for index, name in enumerate(COUNTERS)}

    def drop_maps(self) -> DropMaps:
        """Where the program remembers what it drops; they close with this object."""
        even, odd, into, unlisted, seen = (
            self._object.map(f"drops_{name}") for name in ("even", "odd", "into", "unlisted", "seen")
        )
        return DropMaps(into, (even, odd), unlisted, seen)

    def close(self) -> None:
        """Closes the descriptors; where it is attached the program goes on with the last tables."""
        self._object.close()

    def __enter__(self) -> DataPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
