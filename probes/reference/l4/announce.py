"""Decides which VIPs are announced and how, and when a drain is over. Pure; it must not know FRR, sockets or clocks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import Enum

from .config import L4Config, Vip


class Mode(Enum):
    """What the operator wants of this node."""

    NORMAL = "normal"
    DRAINING = "draining"
    WITHDRAWN = "withdrawn"


class Announcement(Enum):
    """How FRR announces a VIP: plainly, de-preferred (RFC 8326), or not at all."""

    NORMAL = "VIP-NORMAL"
    DRAIN = "VIP-DRAIN"
    NONE = "none"


_BY_MODE = {
    Mode.NORMAL: Announcement.NORMAL,
    Mode.DRAINING: Announcement.DRAIN,
    Mode.WITHDRAWN: Announcement.NONE,
}


@dataclass(frozen=True)
class Serving:
    """By service: whom its ring gives new flows, and who keeps the flows it has (those, and whoever is drained)."""

    ring: Mapping[str, frozenset[str]]
    pinned: Mapping[str, frozenset[str]]


def serving(
    config: L4Config, health: Mapping[tuple[str, str], bool | None], draining: Set[str] = frozenset()
) -> Serving | None:
    """From (service, backend) → up, and the backends that want no new flows. None while anything is undecided.

    A ring of the backends that happened to answer first would differ from the other L4 nodes' rings. Where only
    drained backends are left for a service they go on getting new flows: better they than nobody.
    """
    if any(up is None for up in health.values()):
        return None
    names = [backend.name for backend in config.backends]
    up = {s.name: frozenset(n for n in names if health[s.name, n]) for s in config.services}
    return Serving({name: found - draining or found for name, found in up.items()}, up)


def decide(
    config: L4Config, mode: Mode, attached: bool, healthy: Mapping[str, frozenset[str]]
) -> dict[Vip, Announcement]:
    """Each VIP's announcement: something only while all services on it have a backend and packets reach the program."""
    how = _BY_MODE[mode]

    def able(vip: Vip) -> bool:
        return attached and all(healthy[service.name] for service in config.services if vip in service.vips)

    return {vip: how if able(vip) else Announcement.NONE for vip in config.vips}


SETTLE_NS = 1_000_000_000


def settling(
    done: Mapping[Vip, Announcement], wanted: Mapping[Vip, Announcement], whole: bool, unchanged_ns: int
) -> bool:
    """Whether a node that announces nothing should still wait before it begins: some backend is not up (`whole` is false)
    and the tables have been as they are for less than a second.

    A node that starts finds its backends one after the other. With the ring of those that answered first it would send
    flows that others had placed to where nobody knows them.
    """
    begins = all(how is Announcement.NONE for how in done.values()) and any(
        how is not Announcement.NONE for how in wanted.values()
    )
    return begins and not whole and unchanged_ns < SETTLE_NS


@dataclass(frozen=True)
class Drain:
    """A drain that began at `start_ns`: over when no VIP packet came for `quiet_ns`, given up `deadline_ns` later."""

    start_ns: int
    quiet_ns: int = 1_000_000_000
    deadline_ns: int = 4_000_000_000

    def quiet_at(self, last_packet_ns: int) -> int:
        """The instant at which it is over if no more packets come."""
        return max(self.start_ns, last_packet_ns) + self.quiet_ns

    def quiet(self, now_ns: int, last_packet_ns: int) -> bool:
        """Whether it is over."""
        return now_ns >= self.quiet_at(last_packet_ns)

    def overdue(self, now_ns: int) -> bool:
        """Whether waiting any longer would keep the operator waiting."""
        return now_ns >= self.start_ns + self.deadline_ns

    def next_look_ns(self, last_packet_ns: int) -> int:
        """When there can be something new to see: no polling in between."""
        return min(self.quiet_at(last_packet_ns), self.start_ns + self.deadline_ns)


def changes(wanted: Mapping[Vip, Announcement], done: Mapping[Vip, Announcement]) -> list[tuple[Vip, Announcement]]:
    """What has to be told to FRR. A VIP that `done` does not know is told in any case."""
    return [(vip, how) for vip, how in wanted.items() if done.get(vip) is not how]
