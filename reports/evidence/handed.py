"""What a node hands over itself, line by line, on the socket that a contract's `events` names. `python -m reports.evidence.handed`
prints the JSON Schema (docs/handed.schema.json).

A published format: systems under test write it. It must not know who reads the lines, nor what is concluded from them.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

DROP = "drop"

Instant = Annotated[int, Meta(ge=1, description="CLOCK_MONOTONIC, nanoseconds")]
Word = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Address = Annotated[str, Meta(extra_json_schema={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An event: something that the node did or noticed at `t_ns`. The last four fields are optional."""

    t_ns: Instant
    source: Word
    what: Annotated[str, Meta(min_length=1, extra_json_schema={"not": {"const": DROP}})]
    detail: str = ""
    peer: str | None = None
    interface: str | None = None
    prefix: str | None = None


class Flow(msgspec.Struct, frozen=True):
    """The client's packet, below every tunnel. Ports are numbers (host order), 0 where the packet has none that can be read;
    an echo request has its identifier in `sport`. `protocol` is IANA's number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6. An answer to
    the client is of this flow, too.

    Raises ValueError for addresses that are none or of two families. They are kept in the usual short form, and IPv4
    mapped into IPv6 as IPv4, so that equal flows are equal.
    """

    src: Address
    sport: Port
    dst: Address
    dport: Port
    protocol: Annotated[int, Meta(ge=0, le=255)]

    def __post_init__(self) -> None:
        src, dst = _plain(self.src), _plain(self.dst)
        if src.version != dst.version:
            raise ValueError(f"src {src} and dst {dst} are of two families")
        force_setattr(self, "src", str(src))
        force_setattr(self, "dst", str(dst))


def _plain(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """`count` packets that the node dropped for one `reason`, all of `flow`; without a flow, of flows that it does not name.

    `reason` is a word of the system's own. Of these packets the first was dropped at `first_ns`, the last at `last_ns`. Each
    dropped packet is in one line only, and a line is written once.
    """

    t_ns: Instant
    source: Word
    what: Literal["drop"]
    reason: Word
    count: Annotated[int, Meta(ge=1)]
    first_ns: Instant
    last_ns: Instant
    flow: Flow | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if self.first_ns > self.last_ns:
            raise ValueError("first_ns is after last_ns")


class _Kind(msgspec.Struct):
    what: str


_kind = msgspec.json.Decoder(_Kind)
_line = msgspec.json.Decoder(Line)
_drop = msgspec.json.Decoder(Drop)


def decode(line: bytes) -> Line | Drop:
    """One line. Raises ValueError, which says what is wrong."""
    try:
        return _drop.decode(line) if _kind.decode(line).what == DROP else _line.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line, made from the types above."""
    kinds, components = msgspec.json.schema_components((Line, Drop), ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": list(kinds), "$defs": components}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
