"""What a running lab does with its links: taps, cuts, carriers, impairments, and what their counters say. It starts no node."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from topologies.impairment import Impairment
from topologies.linux import links
from topologies.linux.ends import End, pairs_of
from topologies.linux.impair.doing import Impaired, Impairer, Standing
from topologies.linux.stamping import Stamping
from topologies.linux.state import Places
from topologies.linux.wire import Flow, Instant, Seen, Wire
from topologies.model import Endpoint, Link, Topology


@dataclass(frozen=True, slots=True)
class Crossing:
    """One flow over one link in one direction, as a tap saw it. `interface`: the sender's, since two nodes may have several links."""

    sender: str
    receiver: str
    interface: str
    flow: Flow
    seen: Seen

    def over(self, links: Collection[Link]) -> bool:
        """Whether it was one of these links that it crossed."""
        end = Endpoint(self.sender, self.interface)
        return any(end in link.endpoints for link in links)


class Links:
    """The part of a `LinuxLab` that is about links. `ends` are each node's, `_ways` what `way_of` tells of each by its number."""

    topology: Topology
    places: Places
    wire: Wire
    ends: Mapping[str, Sequence[End]]
    _ways: Mapping[int, tuple[str, str, str]]

    def netns(self, node: str) -> Path:
        return self.places.netns(node)

    def pairs(self) -> list[tuple[End, End]]:
        """The links as pairs of ends, in the file's order."""
        return pairs_of(self.ends)

    def _numbers(self, nodes: Sequence[str], links: Sequence[Link]) -> list[int]:
        """Both ends of each of these links, and of every link of these nodes."""
        chosen = [*links, *(link for node in nodes for link in self.topology.links_of(node))]
        return sorted({self._end(point).number for link in chosen for point in link.endpoints})

    def _end(self, point: Endpoint) -> End:
        return next(end for end in self.ends[point.node] if end.interface == point.interface)

    def tap(self, nodes: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        """Records from now on which flows cross these links, and the links of these nodes."""
        self.wire.tap(self._numbers(nodes, links))

    def untap(self, nodes: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        self.wire.untap(self._numbers(nodes, links))

    def tapped(self) -> list[Crossing]:
        """Every flow that crossed a tapped link since `wire.forget_taps`, once per link and direction."""
        return [Crossing(*self._ways[sender], flow, seen) for (sender, flow), seen in self.wire.tapped().items()]

    def take_tapped(self) -> list[Crossing]:
        """The same, once: it is let go of."""
        return [Crossing(*self._ways[sender], flow, seen) for (sender, flow), seen in self.wire.take_tapped().items()]

    def sight(self) -> None:
        """Notes from now on which probes pass each link, or are cut there; what was noted before is forgotten."""
        self.wire.sight(self._numbers(tuple(self.topology.nodes), ()))

    def unsight(self) -> None:
        self.wire.unsight(self._numbers(tuple(self.topology.nodes), ()))

    def stamp(self) -> Stamping:
        """Stamps some probes at both ends of every link until it is closed."""
        return self.wire.stamp(self._numbers(tuple(self.topology.nodes), ()))

    def way_of(self, number: int) -> tuple[str, str, str]:
        """Who sends what the end of this number sends, who receives it, and the sender's interface. Raises KeyError for one that no
        link of the lab has."""
        return self._ways[number]

    def cut_link(self, link: Link) -> Instant:
        """Drops every frame on the link, both directions, in one step; carrier stays at both ends."""
        return self.wire.cut_ends(self._numbers((), (link,)))

    def cut_links(self) -> list[Link]:
        """Links that are cut silently now, by themselves and not with a node of theirs."""
        cut = self.wire.cuts()
        return [link for link in self.topology.links if cut & {*self._numbers((), (link,))}]

    def mend_link(self, link: Link) -> Instant:
        """Undoes `cut_link`."""
        return self.wire.cut_ends(self._numbers((), (link,)), 0)

    @property
    def impairer(self) -> Impairer:
        return Impairer(self.wire, self.places.root, self.netns, lambda node: self.ends[node])

    def _directions(self, link: Link, toward: str | None) -> list[tuple[End, End]]:
        """(sender, receiver), both or the one that ends at a node."""
        first, second = (self._end(point) for point in link.endpoints)
        return [(a, b) for a, b in ((first, second), (second, first)) if toward in (None, b.node)]

    def impair(self, link: Link, how: Impairment, toward: str | None = None) -> list[Standing]:
        """Impairs a link from now on, both directions or the one `toward` a node, in place of what impaired it before.

        Raises RuntimeFailure naming what this host's kernel would need; the link is as it was then.
        """
        ways = self._directions(link, toward)
        for sender, receiver in ways:
            self.impairer.plan(sender, receiver, how)
        return [self.impairer.impair(sender, receiver, how) for sender, receiver in ways]

    def heal_impairment(self, link: Link, toward: str | None = None) -> bool:
        """Undoes `impair`; whether there was anything. Frames on their way still arrive."""
        healed = [self.impairer.heal(sender, receiver) for sender, receiver in self._directions(link, toward)]
        return any(healed)

    def impaired(self) -> list[Impaired]:
        """Every direction of a link that is impaired now, and what that did so far."""
        return self.impairer.standing()

    def keep_static(self, link: Link) -> None:
        """Keeps what the kernel of the link's second end forgets with its interface (static routes), for `raise_carrier`. It
        takes some CPU: best before anybody measures."""
        end = self._end(link.endpoints[1])
        self._kept(end).write_bytes(msgspec.msgpack.encode(links.save_static(self.netns(end.node))))

    def _kept(self, end: End) -> Path:
        """On disk, since another process may have to raise the carrier."""
        return self.places.root / f"static-of-{end.number}"

    def drop_carrier(self, link: Link) -> Instant:
        """Takes the link's second end down, so that its first end loses carrier, and no frame passes."""
        end = self._end(link.endpoints[1])
        if not self._kept(end).exists():
            self.keep_static(link)
        before = time.monotonic_ns()
        links.set_state(self.netns(end.node), end, "down")
        return Instant(before, time.monotonic_ns())

    def raise_carrier(self, link: Link) -> None:
        """Undoes `drop_carrier`."""
        end = self._end(link.endpoints[1])
        links.set_state(self.netns(end.node), end, "up")
        with contextlib.suppress(FileNotFoundError):
            links.restore_static(
                self.netns(end.node), msgspec.msgpack.decode(self._kept(end).read_bytes(), type=list[bytes])
            )
            self._kept(end).unlink()

    def frames_over(self, link: Link) -> int:
        """Frames that the two ends of a link have received, by their own counters."""
        ends = [self._end(point) for point in link.endpoints]
        return sum(links.received_frames(self.netns(end.node), [end.index]) for end in ends)

    def carriers(self, link: Link) -> tuple[bool, bool]:
        """Whether each end of the link has carrier and is up."""
        first, second = (self._end(point) for point in link.endpoints)
        return links.is_running(self.netns(first.node), first), links.is_running(self.netns(second.node), second)

    def frames_from(self, nodes: Sequence[str]) -> int:
        """Frames that the neighbours of these nodes have received from them, by the neighbours' own interface counters."""
        inner = set(nodes)
        watched: dict[str, list[int]] = {}
        for a, b in self.pairs():
            for end, peer in ((a, b), (b, a)):
                if end.node in inner and peer.node not in inner:
                    watched.setdefault(peer.node, []).append(peer.index)
        return sum(links.received_frames(self.netns(peer), indices) for peer, indices in watched.items())
