"""Answers SYNs to an address that its node does not have, as the node's own kernel never would. Knows bytes, no probes.

usage: impostor.py ADDRESS PORT stray|misnumbered
`stray`: a RST that acknowledges nothing; `misnumbered`: a SYN-ACK of something that was never sent.
"""

from __future__ import annotations

import socket
import sys

from scapy.layers.inet import IP, TCP

ETH_P_IP = 0x0800


def main(address: str, port: int, what: str) -> None:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    print("listening", flush=True)
    while True:
        got = IP(tap.recv(2048))
        if got.dst != address or TCP not in got or got[TCP].dport != port or got[TCP].flags != "S":
            continue
        back = IP(src=address, dst=got.src)
        if what == "stray":
            answer = back / TCP(sport=port, dport=got[TCP].sport, flags="R", seq=0x12345678)
        else:
            wrong = (got[TCP].seq + 0x100000) & 0xFFFFFFFF
            answer = back / TCP(sport=port, dport=got[TCP].sport, flags="SA", seq=1, ack=wrong)
        out.sendto(bytes(answer), (got.src, 0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
