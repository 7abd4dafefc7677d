"""Impairs the directions of a lab's links, and heals them. What stands is on disk, so that any later process can tell and heal it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from topologies.impairment import Impairment
from topologies.linux.ends import End
from topologies.linux.impair import queue, splice
from topologies.linux.impair.means import Means, choose
from topologies.linux.impair.splice import WireState
from topologies.linux.snapshot import xdp_indices
from topologies.linux.wire import Drawn, Lots, Wire
from topologies.runtime import RuntimeFailure


class Standing(msgspec.Struct, frozen=True):
    """An impairment of one direction: from the end `sender` to the end `receiver` (`NODE:INTERFACE`), and how it is done."""

    sender: str
    receiver: str
    impairment: Impairment
    means: Means

    def __str__(self) -> str:
        return f"{self.sender} → {self.receiver}: {self.impairment} (by {', '.join(self.means.names)})"


class Record(msgspec.Struct, frozen=True):
    """What stands in a lab, by the number of the sending end."""

    standing: dict[int, Standing] = {}


@dataclass(frozen=True, slots=True)
class Impaired:
    """An impairment as it stands, and what it did so far. `wire` is None where none was needed."""

    standing: Standing
    drawn: Drawn
    wire: WireState | None

    @property
    def trouble(self) -> str:
        """Why it does not do what was asked, or nothing."""
        if self.wire and not self.wire.alive:
            return "its wire in user space has ended: no frame passes"
        if self.wire and self.wire.dropped:
            return f"its wire in user space dropped {self.wire.dropped} frames for want of room"
        return ""


@dataclass(frozen=True, slots=True)
class Impairer:
    """Impairs links between these ends. `netns` gives a node's namespace; `folder` is the lab's own."""

    wire: Wire
    folder: Path
    netns: Callable[[str], Path]
    ends: Callable[[str], Sequence[End]]

    @property
    def _file(self) -> Path:
        return self.folder / "impaired.json"

    def _control(self, sender: End) -> Path:
        return self.folder / "wires" / f"{sender.number}"

    def _read(self) -> dict[int, Standing]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Record).standing
        except FileNotFoundError:
            return {}

    def _write(self, standing: dict[int, Standing]) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(Record(standing)))
        fresh.rename(self._file)

    def plan(self, sender: End, receiver: End, wanted: Impairment) -> Standing:
        """How this host would do it. Raises RuntimeFailure naming the direction and what is missing."""
        here, there = xdp_indices(self.netns(sender.node)), xdp_indices(self.netns(receiver.node))
        try:
            means = choose(wanted, queue.features(), sender_xdp=bool(here), receiver_xdp=receiver.index in there)
        except RuntimeFailure as error:
            raise RuntimeFailure(f"{_name(sender)} → {_name(receiver)} cannot be impaired here: {error}") from error
        return Standing(_name(sender), _name(receiver), wanted, means)

    def impair(self, sender: End, receiver: End, wanted: Impairment) -> Standing:
        """Impairs one direction from now on, in place of what impaired it before. Raises RuntimeFailure; it is as it was then,
        or whole."""
        asked, before = self.plan(sender, receiver, wanted), self._read()
        old = before.get(sender.number)
        if old and (old.means.sending, old.means.wire) != (asked.means.sending, asked.means.wire):
            self.heal(sender, receiver)
            old = None
        self._write({**before, sender.number: asked})
        try:
            self._do(sender, receiver, asked, old)
        except BaseException:
            self.heal(sender, receiver)
            raise
        return asked

    def _do(self, sender: End, receiver: End, asked: Standing, old: Standing | None) -> None:
        means, how, control = asked.means, asked.impairment, self._control(sender)
        if means.qdisc:
            queue.set_queue(self.netns(sender.node), sender.interface, means.qdisc)
        elif old and old.means.qdisc:
            queue.clear_queue(self.netns(sender.node), sender.interface)
        at = sender if means.sending else receiver
        detour = 0
        if means.wire and old and splice.look(control).alive:
            splice.change(control, how, means.wire_rate)
            detour = splice.tap_index(self.netns(at.node), at.index, sending=means.sending)
        elif means.wire:
            detour = splice.insert(
                self.netns(at.node), control, at.index, sending=means.sending, how=how, rate=means.wire_rate
            )
        lots = Lots(how.loss, how.corruption, how.duplication, detour) if means.program else None
        self.wire.impair(at.number, sending=means.sending, lots=lots)

    def heal(self, sender: End, receiver: End) -> bool:
        """Lets one direction carry frames as a link does; what a wire holds still arrives. Whether there was anything."""
        before = self._read()
        old = before.pop(sender.number, None)
        if old is None:
            return False
        at = sender if old.means.sending else receiver
        self.wire.impair(at.number, sending=old.means.sending, lots=None)
        if old.means.wire:
            splice.take_out(self._control(sender), 2 * old.impairment.delay_ns)
        if old.means.qdisc:
            queue.clear_queue(self.netns(sender.node), sender.interface)
        self._write(before)
        return True

    def standing(self) -> list[Impaired]:
        """Every direction that is impaired now."""
        found = []
        for number, one in sorted(self._read().items()):
            sender, receiver = self._end(one.sender), self._end(one.receiver)
            at = sender if one.means.sending else receiver
            drawn = self.wire.drawn(at.number, sending=one.means.sending) if one.means.program else Drawn()
            state = splice.look(self.folder / "wires" / f"{number}") if one.means.wire else None
            found.append(Impaired(one, drawn, state))
        return found

    def again(self, nodes: Sequence[str]) -> None:
        """Does anew what these nodes lost with their namespaces."""
        for one in self._read().values():
            sender, receiver = self._end(one.sender), self._end(one.receiver)
            if {sender.node, receiver.node} & {*nodes}:
                self.heal(sender, receiver)
                self.impair(sender, receiver, one.impairment)

    def _end(self, name: str) -> End:
        node, _, interface = name.rpartition(":")
        return next(end for end in self.ends(node) if end.interface == interface)


def _name(end: End) -> str:
    return f"{end.node}:{end.interface}"


def clear(folder: Path) -> None:
    """Ends what processes impairments have in a lab that is taken down. Raises RuntimeFailure."""
    if (folder / "wires").exists():
        splice.end_all(folder / "wires")
