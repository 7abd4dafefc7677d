"""Answers SYNs to an address that its node does not have, as the node's own kernel never would. Knows bytes, no probes.

usage: impostor.py ADDRESS PORT stray|misnumbered
`stray`: a RST that acknowledges nothing; `misnumbered`: a SYN-ACK of something that was never sent.

Bytes by hand, because a packet library spends milliseconds on each: at 100 SYNs a second on a slow machine the answers
fell further and further behind.
"""

from __future__ import annotations

import socket
import struct
import sys

ETH_P_IP = 0x0800
SYN, RST, SYN_ACK = 0x02, 0x04, 0x12


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(src: bytes, dst: bytes, sport: int, dport: int, seq: int, ack: int, flags: int) -> bytes:
    """A TCP segment without data in an IPv4 packet; the kernel fills in the packet's own checksum."""
    bare = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 8192, 0, 0)
    found = checksum(src + dst + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(bare)) + bare)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(bare), 0, 0, 64, socket.IPPROTO_TCP, 0, src, dst)
    return head + bare[:16] + struct.pack("!H", found) + bare[18:]


def main(address: str, port: int, what: str) -> None:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    mine = socket.inet_aton(address)
    print("listening", flush=True)
    while True:
        got = tap.recv(2048)
        start = (got[0] & 0xF) * 4
        if got[9] != socket.IPPROTO_TCP or got[16:20] != mine:
            continue
        theirs, dport, seq = struct.unpack_from("!HHI", got, start)
        if dport != port or got[start + 13] != SYN:
            continue
        if what == "stray":
            back = segment(mine, got[12:16], port, theirs, 0x12345678, 0, RST)
        else:
            back = segment(mine, got[12:16], port, theirs, 1, (seq + 0x100000) & 0xFFFFFFFF, SYN_ACK)
        out.sendto(back, (socket.inet_ntoa(got[12:16]), 0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
