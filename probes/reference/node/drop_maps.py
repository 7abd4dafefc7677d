"""Reads and empties the tables in which a program remembers its drops (bpf/drops.h), and tells of them. It must not know the
program, nor its reasons' meaning.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bpf import BpfError, Map
from bpf.live import map_by_id, maps_of_attached

from .drops import SUM, Dropped, line, merged, unpack, worth_telling
from .events import Events

TURN_S = 0.1
FLOWS, REASONS = 2048, 16  # DROP_FLOWS, DROP_REASONS
_NONE = SUM.pack(0, 0, 0)


def _key(index: int) -> bytes:
    return struct.pack("=I", index)


@dataclass(frozen=True)
class DropMaps:
    """The maps of bpf/drops.h; the program writes one of `tables` at a time."""

    into: Map
    tables: tuple[Map, Map]
    unlisted: Map
    seen: Map

    @classmethod
    def of(cls, interface: str) -> DropMaps:
        """Of the program that is attached there, which some other process loaded. They stay open as long as this process lives.

        Raises BpfError, also where there is no such interface or program.
        """
        try:
            maps = maps_of_attached(socket.if_nametoindex(interface))
        except OSError as error:
            raise BpfError(f"{interface}: {error}") from error
        try:
            into, unlisted, seen, both = (maps.pop(f"drops{name}") for name in ("_into", "_unlisted", "_seen", ""))
        except KeyError as missing:
            raise BpfError(f"the program on {interface} remembers no drops: it has no map {missing}") from missing
        finally:
            for other in maps.values():
                other.close()
        even, odd = (map_by_id(int(struct.unpack("=I", both.lookup(_key(turn)) or bytes(4))[0])) for turn in (0, 1))
        both.close()
        return cls(into, (even, odd), unlisted, seen)

    def total(self) -> int:
        """All drops ever."""
        return sum(int(struct.unpack("=Q", value)[0]) for value in self.seen.lookup_per_cpu(_key(0)))

    def active(self) -> int:
        """The table that is written."""
        value = self.into.lookup(_key(0))
        return int(struct.unpack("=I", value)[0]) if value else 0

    def turn(self) -> None:
        """Drops go into the other table from now on. A program that runs just now may still write into this one."""
        self.into.update(_key(0), _key(1 - self.active()))

    def take(self) -> list[Dropped]:
        """What the table holds that is not written, which is then empty. Raises BpfError."""
        quiet = 1 - self.active()
        found = unpack(*self.tables[quiet].take_all(FLOWS))
        for reason in range(REASONS):
            key = _key(quiet * REASONS + reason)
            sums = [SUM.unpack(value) for value in self.unlisted.lookup_per_cpu(key)]
            found += merged(Dropped(reason, None, *each) for each in sums if each[0])
            if any(count for count, _, _ in sums):
                self.unlisted.update_per_cpu(key, _NONE)
        return found


class Teller:
    """Hands over what one program dropped, in turns that are TURN_S apart.

    In one turn the table that was written is put aside, in the next it is read: by then no program writes into it any more.
    """

    def __init__(self, maps: DropMaps, events: Events, reasons: Sequence[str]) -> None:
        self._maps, self._events, self._reasons = maps, events, reasons
        self._total = -1
        self._put_aside = True  # by an agent before this one, perhaps

    def look(self) -> list[Dropped]:
        """One turn: what to tell of now. Raises BpfError. As long as nothing is dropped it reads one number."""
        found = worth_telling(self._maps.take()) if self._put_aside else []
        total = self._maps.total()
        self._put_aside = total != self._total
        if self._put_aside:
            self._maps.turn()
            self._total = total
        return found

    async def run(self, complain: Callable[[str], None]) -> None:
        """Until cancelled. What fails is said once, and tried again."""
        complaint = ""
        while True:
            said = ""
            try:
                now = time.monotonic_ns()
                self._events.tell([line(self._events.source, self._reasons, drop, now) for drop in self.look()])
            except BpfError as error:
                said = f"drops are not told: {error}"
            if said not in ("", complaint):
                complain(said)
            complaint = said
            await asyncio.sleep(TURN_S)  # the schedule of turns itself, not a wait for something
