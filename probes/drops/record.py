"""A dropped packet as the program at the kernel's tracepoint hands it over. Pure; names of nodes and reasons come later.

Source: `struct dropped` in probes/native/drops.bpf.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

_RECORD = struct.Struct("=QQQIIIIII16s16s4sBBBB")
_PORTS = struct.Struct("!HH")
_PROBE, _NO_CARRIER = 1, 2
TCP = 6
_SYN, _ACK = 0x02, 0x10


class FiveTuple(NamedTuple):
    """An innermost 5-tuple as it was on the wire: addresses as text, ports in host order, protocol number.

    An ICMP echo has its identifier in place of both ports."""

    src: str
    sport: int
    dst: str
    dport: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Segment:
    """What tells one TCP segment from others: its sequence and acknowledgement numbers, and its flags."""

    sequence: int
    acknowledged: int
    flags: int

    @property
    def attempt(self) -> int | None:
        """The sequence number of the SYN that this is, or of the one that this SYN-ACK answers; None for other segments. The
        prober numbers its SYNs: 8 bits of the flow's id, 24 of the probe's number."""
        if not self.flags & _SYN:
            return None
        return (self.acknowledged - 1) & 0xFFFFFFFF if self.flags & _ACK else self.sequence


@dataclass(frozen=True, slots=True)
class Record:
    """One dropped packet. `t_ns` is CLOCK_MONOTONIC, `namespace` an inode, `index` an interface's (0: at none), `location`
    an address in the kernel's code, `carrier` whether the interface had it; `probe` and `seq` are those of a probe's
    payload, None where it has none."""

    t_ns: int
    namespace: int
    index: int
    reason: int
    location: int
    flow: FiveTuple
    ttl: int
    carrier: bool
    probe: int | None
    seq: int | None
    segment: Segment | None


def parse(record: bytes) -> Record:
    """A record of the ring. Raises ValueError when it is not whole."""
    if len(record) < _RECORD.size:
        raise ValueError(f"a record of {len(record)} bytes, {_RECORD.size} were to come")
    fields = _RECORD.unpack_from(record)
    t_ns, location, seq, probe, namespace, index, reason, sequence, acknowledged = fields[:9]
    src, dst, ports, protocol, flags, tcp_flags, ttl = fields[9:]
    told = bool(flags & _PROBE)
    return Record(
        t_ns,
        namespace,
        index,
        reason,
        location,
        _flow(src, dst, ports, protocol),
        ttl,
        not flags & _NO_CARRIER,
        probe if told else None,
        seq if told else None,
        Segment(sequence, acknowledged, tcp_flags) if protocol == TCP else None,
    )


@lru_cache(maxsize=1 << 14)
def _flow(src: bytes, dst: bytes, ports: bytes, protocol: int) -> FiveTuple:
    sport, dport = _PORTS.unpack(ports)
    return FiveTuple(_address(src), sport, _address(dst), dport, protocol)


def _address(raw: bytes) -> str:
    """An IPv4 address stands in the first four bytes, the rest zero; no IPv6 address of a lab looks like that."""
    return str(IPv4Address(raw[:4]) if raw[4:] == bytes(12) else IPv6Address(raw))
