"""IP packets with UDP or TCP in them, taken apart as far as routing protocols need. Knows nothing of what they carry."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

TCP = 6
UDP = 17


@dataclass(frozen=True, slots=True)
class Packet:
    """Addresses as text, ports in host order, `hops` the TTL or hop limit, `seq` of TCP (0 with UDP). `missing` counts
    the payload's bytes that the packet had and the copy has not."""

    src: str
    dst: str
    hops: int
    protocol: int
    sport: int
    dport: int
    seq: int
    payload: bytes
    missing: int = 0


def parse(raw: bytes, length: int | None = None) -> Packet:
    """A packet from its IP header on; `length` is its own when `raw` was cut short. Raises ValueError for anything else."""
    try:
        if raw[0] >> 4 == 4:
            at = (raw[0] & 15) * 4
            whole, hops, protocol = struct.unpack_from("!H", raw, 2)[0], raw[8], raw[9]
            src, dst = str(IPv4Address(raw[12:16])), str(IPv4Address(raw[16:20]))
        else:
            if raw[0] >> 4 != 6:
                raise ValueError(f"IP version {raw[0] >> 4}")
            at = 40
            whole, protocol, hops = struct.unpack_from("!HBB", raw, 4)
            whole += at
            src, dst = str(IPv6Address(raw[8:24])), str(IPv6Address(raw[24:40]))
        sport, dport = struct.unpack_from("!HH", raw, at)
        if protocol == UDP:
            seq, begin = 0, at + 8
        elif protocol == TCP:
            seq, begin = struct.unpack_from("!I", raw, at + 4)[0], at + (raw[at + 12] >> 4) * 4
        else:
            raise ValueError(f"protocol {protocol}")
    except (IndexError, struct.error) as error:
        raise ValueError(f"a packet of {len(raw)} bytes ends within its headers") from error
    # A segment that the kernel has yet to split may say 0, or less than it holds: the frame's own length is the truth then.
    end = max(whole, length or 0)
    payload = raw[begin:end]
    return Packet(src, dst, hops, protocol, sport, dport, seq, payload, max(0, end - begin - len(payload)))
