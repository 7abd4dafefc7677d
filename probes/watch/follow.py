"""What a node's netlink messages changed, as events. Pure; it remembers what was, since the kernel repeats itself."""

from __future__ import annotations

from collections.abc import Iterator

from probes.watch.event import TimelineEvent
from probes.watch.journal import Entry, Kind
from probes.watch.netlink import MAIN_TABLE, Address, Hop, Link, Message, Neighbour, NextHopGroup, Route, parse
from probes.watch.overheard import Ends

Told = tuple[str, str, str, int | None, str | None]  # source, what, detail, interface index, prefix


class Follower:
    """One node. Entries come in the order they were written."""

    def __init__(self, node: str, ends: Ends) -> None:
        self._node = node
        self._ends = {index: end for index, end in ends.items() if end[0] == node}
        self._peers = {interface: peer for _, interface, peer in self._ends.values()}
        self._links: dict[int, Link] = {}
        self._addresses: set[tuple[int, str]] = set()
        self._neighbours: dict[tuple[int, str], str] = {}
        self._groups: dict[int, tuple[int, ...]] = {}

    def add(self, entry: Entry) -> list[TimelineEvent]:
        """What changed. Raises ValueError when the kernel's message cannot be read."""
        found = []
        for message in parse(entry.data):
            told = self._take(message)
            if entry.kind is Kind.NEWS:
                found += [self._event(entry, *each) for each in told]
        return found

    def _event(
        self, entry: Entry, source: str, what: str, detail: str, index: int | None, prefix: str | None
    ) -> TimelineEvent:
        peer = None if index is None else self._peer(index)
        interface = None if index is None else self._name(index)
        acc = entry.t_ns - entry.since_ns
        return TimelineEvent(entry.t_ns, acc, self._node, source, what, detail, peer, interface, prefix)

    def _peer(self, index: int) -> str | None:
        """By its name, if the kernel has told it: the wires' numbers need not be the kernel's."""
        if known := self._links.get(index):
            return self._peers.get(known.name)
        return self._ends[index][2] if index in self._ends else None

    def _name(self, index: int) -> str:
        known = self._links.get(index)
        return known.name if known else f"interface {index}"

    def _take(self, message: Message) -> list[Told]:
        match message:
            case Route():
                return [self._route(message)]
            case Link():
                return list(self._link(message))
            case Neighbour():
                return list(self._neighbour(message))
            case Address():
                return list(self._address(message))
            case NextHopGroup():
                return list(self._group(message))

    def _route(self, route: Route) -> Told:
        ways = ", ".join(map(self._way, route.hops)) if route.kind == "unicast" else route.kind
        where = "" if route.table == MAIN_TABLE else f", table {route.table}"
        detail = f"{ways or 'no next hop'}{where}, by {route.protocol}"
        (index,) = [hop.index for hop in route.hops] if len(route.hops) == 1 else [None]
        return "fib", "delete" if route.deleted else "replace", detail, index, route.prefix

    def _way(self, hop: Hop) -> str:
        out = "" if hop.index is None else self._name(hop.index)
        return " ".join(part for part in (f"via {hop.via}" if hop.via else "", out) if part)

    def _link(self, link: Link) -> Iterator[Told]:
        before = self._links.get(link.index)
        self._links[link.index] = link
        was_up = before is not None and before.set_up and before.carrier
        is_up = link.set_up and link.carrier
        if was_up == is_up:
            return
        why = "" if is_up else "removed" if link.deleted else "carrier lost" if link.set_up else "set down"
        yield "link", "up" if is_up else "down", why, link.index, None

    def _address(self, address: Address) -> Iterator[Told]:
        key = address.index, address.address
        if address.deleted != (key in self._addresses):
            return
        (self._addresses.discard if address.deleted else self._addresses.add)(key)
        yield "link", "address-removed" if address.deleted else "address-added", "", address.index, address.address

    def _neighbour(self, entry: Neighbour) -> Iterator[Told]:
        """Only from resolved to not, and back: the kernel's doubts in between (stale, delay, probe) are no news."""
        key = entry.index, entry.address
        before = self._neighbours.get(key, "delete")
        if entry.deleted:
            now = "delete"
        elif entry.resolved or entry.failed:
            now = "reachable" if entry.resolved else "failed"
        else:
            return
        self._neighbours[key] = now
        if now != before:
            yield "neighbour", now, f"{entry.address}{f' at {entry.mac}' if entry.mac else ''}", entry.index, None

    def _group(self, group: NextHopGroup) -> Iterator[Told]:
        """A group that is new forwards nothing yet; one that changes moves every route that refers to it."""
        before = self._groups.pop(group.id, None)
        if not group.deleted:
            self._groups[group.id] = group.members
        if before is not None and group.members != before and not group.deleted:
            yield "fib", "replace", f"next-hop group {group.id} of {len(group.members)}, had {len(before)}", None, None
