"""Records of where the microseconds go on a packet's way, link by link."""

from __future__ import annotations

from typing import Literal

import msgspec


class HopPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the way: over a link; through a node; answered by one; or through a node that a program of its own carries a packet
    through before any hook sees it, with the links on both sides. `at_us`: the median of when it began after the first link's end."""

    label: str
    kind: Literal["link", "node", "answer", "program"]
    n: int
    at_us: float
    p50_us: float
    p99_us: float


class Hops(msgspec.Struct, frozen=True, kw_only=True):
    """The way there and back from one vantage to one service, as stamped packets took it in the control window."""

    vantage: str
    service: str
    transport: Literal["udp", "tcp", "icmp"]
    parts: tuple[HopPart, ...]


class HopsCost(msgspec.Struct, frozen=True, kw_only=True):
    """What stamping took of the CPU, in cores and per frame looked at; one of `every` probes of a flow was stamped, and `lost` stamps
    found no room."""

    every: int
    cores: float
    per_frame_ns: int
    frames: int
    lost: int = 0
