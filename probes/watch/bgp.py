"""BGP messages (RFC 4271, 4760, 8950) as typed values. Pure: whole messages in, and how they were sent is stream.py's."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

PORT = 179
HEADER = 19
MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE_REFRESH = range(1, 6)
_AS_PATH, _NEXT_HOP, _COMMUNITIES, _MP_REACH, _MP_UNREACH = 2, 3, 8, 14, 15
_IPV4, _IPV6, _UNICAST = 1, 2, 1
_HARD_RESET = bytes((6, 9))
_BITS = {_IPV4: 32, _IPV6: 128}

ERRORS = {
    1: "message header error",
    2: "OPEN error",
    3: "UPDATE error",
    4: "hold timer expired",
    5: "FSM error",
    6: "cease",
}
HOLD_TIMER_EXPIRED = ERRORS[4]
CEASE = {
    1: "maximum number of prefixes reached",
    2: "administrative shutdown",
    3: "peer de-configured",
    4: "administrative reset",
    5: "connection rejected",
    6: "other configuration change",
    7: "connection collision resolution",
    8: "out of resources",
    9: "hard reset",
    10: "BFD down",
}


@dataclass(frozen=True, slots=True)
class Open:
    """A speaker introduces itself; `hold_s` is the hold time that it proposes."""

    asn: int
    hold_s: int
    identifier: str


@dataclass(frozen=True, slots=True)
class Update:
    """Prefixes as text. `next_hop` is what the announced ones have in common; IPv4 behind an IPv6 one is RFC 8950."""

    withdrawn: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    next_hop: str | None = None
    as_path: tuple[int, ...] = ()
    communities: tuple[str, ...] = ()

    @property
    def end_of_rib(self) -> bool:
        """RFC 4724: nothing announced, nothing withdrawn."""
        return not self.withdrawn and not self.announced


@dataclass(frozen=True, slots=True)
class Notification:
    """The last word of a session, numbers as sent; `hard`: nothing of it shall survive by graceful restart."""

    code: int
    subcode: int
    hard: bool = False

    @property
    def reason(self) -> str:
        error = ERRORS.get(self.code, f"error {self.code}")
        if self.code == 6 and self.subcode in CEASE:
            return f"{error}: {CEASE[self.subcode]}"
        return f"{error}, subcode {self.subcode}" if self.subcode else error


@dataclass(frozen=True, slots=True)
class Other:
    """A KEEPALIVE, a ROUTE-REFRESH, or a type that this module does not know."""

    kind: int


Message = Open | Update | Notification | Other


def parse(message: bytes) -> Message:
    """One whole message with its header. Raises ValueError when its parts contradict their lengths."""
    if len(message) < HEADER or message[:16] != MARKER or struct.unpack_from("!H", message, 16)[0] != len(message):
        raise ValueError("BGP: not one whole message")
    kind, body = message[18], message[HEADER:]
    try:
        if kind == OPEN:
            return _open(body)
        if kind == UPDATE:
            return _update(body)
        if kind == NOTIFICATION:
            # A hard reset carries the code that it is really about (RFC 8538).
            at = 2 if body[:2] == _HARD_RESET and len(body) >= 4 else 0
            return Notification(body[at], body[at + 1], hard=bool(at))
    except (IndexError, struct.error) as error:
        raise ValueError(f"BGP: a message of type {kind} ends within a field") from error
    return Other(kind)


def _open(body: bytes) -> Open:
    _version, asn, hold, identifier, length = struct.unpack_from("!BHHIB", body)
    for code, value in _capabilities(body[10 : 10 + length]):
        if code == 65 and len(value) == 4:  # a four-octet AS number, RFC 6793
            asn = int.from_bytes(value, "big")
    return Open(asn, hold, str(IPv4Address(identifier)))


def _capabilities(parameters: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(parameters):
        kind, length = parameters[at], parameters[at + 1]
        value = parameters[at + 2 : at + 2 + length]
        at += 2 + length
        while kind == 2 and len(value) >= 2:
            yield value[0], value[2 : 2 + value[1]]
            value = value[2 + value[1] :]


def _update(body: bytes) -> Update:
    (length,) = struct.unpack_from("!H", body)
    withdrawn = [*prefixes(_exactly(body, 2, length), _IPV4)]
    (attributes_length,) = struct.unpack_from("!H", body, 2 + length)
    attributes = _exactly(body, 4 + length, attributes_length)
    announced = [*prefixes(body[4 + length + attributes_length :], _IPV4)]
    next_hop: str | None = None
    path: tuple[int, ...] = ()
    communities: tuple[str, ...] = ()
    for kind, value in _attributes(attributes):
        if kind == _MP_REACH:
            family, sub_family, hop_length = struct.unpack_from("!HBB", value)
            if sub_family == _UNICAST and family in _BITS:
                next_hop = _next_hop(_exactly(value, 4, hop_length))
                announced += prefixes(value[5 + hop_length :], family)
        elif kind == _MP_UNREACH:
            family, sub_family = struct.unpack_from("!HB", value)
            if sub_family == _UNICAST and family in _BITS:
                withdrawn += prefixes(value[3:], family)
        elif kind == _NEXT_HOP and len(value) == 4:
            next_hop = next_hop or str(IPv4Address(value))
        elif kind == _AS_PATH:
            path = _as_path(value)
        elif kind == _COMMUNITIES:
            words = struct.unpack(f"!{len(value) // 4 * 2}H", value[: len(value) // 4 * 4])
            communities = tuple(f"{a}:{b}" for a, b in zip(words[::2], words[1::2], strict=True))
    return Update(tuple(withdrawn), tuple(announced), next_hop, path, communities)


def _exactly(raw: bytes, at: int, length: int) -> bytes:
    part = raw[at : at + length]
    if len(part) != length:
        raise ValueError(f"BGP: {len(part)} of {length} bytes")
    return part


def _attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(raw):
        long = raw[at] & 0x10
        kind = raw[at + 1]
        length = struct.unpack_from("!H", raw, at + 2)[0] if long else raw[at + 2]
        at += 4 if long else 3
        yield kind, _exactly(raw, at, length)
        at += length


def _next_hop(raw: bytes) -> str:
    """The global address, or the link-local one where that is all there is (sent once, or twice, or after ::)."""
    if len(raw) == 4:
        return str(IPv4Address(raw))
    if len(raw) not in (16, 32):
        raise ValueError(f"BGP: a next hop of {len(raw)} bytes")
    first = IPv6Address(raw[:16])
    return str(IPv6Address(raw[16:]) if len(raw) == 32 and first.is_unspecified else first)


def _as_path(value: bytes) -> tuple[int, ...]:
    """AS numbers in order, of sequences and sets. Four octets each where that fills it exactly, else two (RFC 6793)."""
    for size in (4, 2):
        numbers: list[int] = []
        at = 0
        while at + 2 <= len(value):
            count = value[at + 1]
            segment = value[at + 2 : at + 2 + count * size]
            if len(segment) != count * size or value[at] not in (1, 2, 3, 4):
                break
            numbers += (int.from_bytes(segment[i : i + size], "big") for i in range(0, len(segment), size))
            at += 2 + count * size
        if at == len(value):
            return tuple(numbers)
    return ()


def prefixes(raw: bytes, family: int) -> list[str]:
    """NLRI of AFI 1 or 2 as text. Whether path identifiers stand in it (RFC 7911) was agreed on before we listened, so
    that reading which makes sense is taken: no bit beyond a length, no prefix twice. Raises ValueError if none does."""
    for skipped in (0, 4):
        found = _nlri(raw, family, skipped)
        if found is not None:
            return [str(prefix) for prefix in found]
    raise ValueError("BGP: prefixes that make no sense")


def _nlri(raw: bytes, family: int, skipped: int) -> list[IPv4Network | IPv6Network] | None:
    found: list[IPv4Network | IPv6Network] = []
    at = 0
    while at < len(raw):
        at += skipped
        if at >= len(raw) or raw[at] > _BITS[family]:
            return None
        length = raw[at]
        size = (length + 7) // 8
        octets = raw[at + 1 : at + 1 + size]
        if len(octets) != size:
            return None
        at += 1 + size
        address = octets.ljust(_BITS[family] // 8, b"\0")
        number = int.from_bytes(address, "big")
        if number & ((1 << (_BITS[family] - length)) - 1):
            return None
        found.append(ip_network((address, length)))
    if not skipped and len(set(found)) != len(found):
        return None
    return found
