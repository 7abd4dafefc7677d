"""Records of what was done and what was noticed: phases, steps of a fault, events of nodes."""

from __future__ import annotations

from typing import Literal

import msgspec

PhaseName = Literal["steady", "control", "fault", "observation", "heal", "recovery"]


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    name: PhaseName
    start_ns: int
    end_ns: int
    ok: bool
    detail: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One step in a fault's life; the record's `t_ns` is its instant, `spread_ns` how far its nodes were apart."""

    action: Literal["inject", "effective", "heal", "healed"]
    fault: str
    target: str
    nodes: tuple[str, ...]
    spread_ns: int
    ok: bool
    role: str | None = None
    detail: str = ""
    links: tuple[str, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something a node did or noticed, on the run's one clock; the record's `acc_ns` says how exactly it is placed.

    `source` is bfd, bgp, fib, neighbour, link, or the name under which a node hands over its own events (l4, envoy).
    `what` is a short word of that source (down, up, update, withdraw, replace, delete, healthy, unhealthy…).
    """

    source: str
    what: str
    detail: str = ""
    peer: str | None = None
    interface: str | None = None
    prefix: str | None = None
