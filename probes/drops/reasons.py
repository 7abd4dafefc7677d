"""What the numbers of drop reasons mean on the running kernel, and in plain words. Pure; it must not know who read the numbers.

Source: enum skb_drop_reason, whose values differ between kernels (include/net/dropreason-core.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX, SUBSYSTEM_PREFIX = "SKB_DROP_REASON_", "SKB_DROP_REASON_SUBSYS_"
SUBSYSTEM_SHIFT = 16
UNSPECIFIED = "NOT_SPECIFIED"

WORDS: Mapping[str, str] = {
    "NO_SOCKET": "no socket listens",
    "SOCKET_RCVBUFF": "socket's receive buffer full",
    "SOCKET_BACKLOG": "socket's backlog full",
    "SOCKET_FILTER": "refused by the socket's filter",
    "PROTO_MEM": "protocol's memory used up",
    "TCP_LISTEN_OVERFLOW": "accept queue full",
    "NETFILTER_DROP": "netfilter rule",
    "TC_INGRESS": "tc filter at ingress",
    "TC_EGRESS": "tc filter at egress",
    "XDP": "XDP program",
    "QDISC_DROP": "queue dropped it",
    "QDISC_OVERLIMIT": "queue full",
    "QDISC_CONGESTED": "queue dropped it early",
    "CPU_BACKLOG": "CPU's backlog full",
    "FULL_RING": "device's ring full",
    "DEV_READY": "device not up",
    "IP_INNOROUTES": "no route",
    "IP_OUTNOROUTES": "no route",
    "IP_INADDRERRORS": "not its address",
    "IP_RPFILTER": "reverse path filter",
    "IP_INHDR": "bad IP header",
    "IP_CSUM": "wrong IP checksum",
    "UDP_CSUM": "wrong UDP checksum",
    "TCP_CSUM": "wrong TCP checksum",
    "ICMP_CSUM": "wrong ICMP checksum",
    "IP_NOPROTO": "no such protocol",
    "PKT_TOO_BIG": "larger than the MTU",
    "NEIGH_FAILED": "neighbour does not answer",
    "NEIGH_QUEUEFULL": "too many wait for the neighbour",
    "NEIGH_CREATEFAIL": "neighbour table full",
    "NEIGH_DEAD": "neighbour gone",
    "OTHERHOST": "for another host's MAC",
    "NOMEM": "out of memory",
    "TC_FILTER": "tc filter",
    "RX_ERRORS": "errors at receiving",
    "TX_ERRORS": "errors at sending",
    "RX_DROPPED": "device dropped it at receiving",
    "TX_DROPPED": "device dropped it at sending",
    "SOCKET_SNDBUFF": "socket's send buffer full",
}
"""Reasons as the kernel has them (the last few are of counters only), and what to tell people. Others speak for themselves."""

_PLACES: Mapping[str, str] = {
    "ip_error": "route refuses it",
    "dst_discard": "route discards it",
    "dst_discard_out": "route discards it",
    "neigh_invalidate": "neighbour does not answer",
    "arp_error_report": "neighbour does not answer",
    "ndisc_error_report": "neighbour does not answer",
    "ip6_pkt_discard": "no route",
    "ip6_pkt_prohibit": "route refuses it",
    "veth_xmit": "other end of the link not up",
    "__dev_forward_skb2": "other end of the link not up",  # until the carrier's loss is noticed
    "veth_xdp_rcv_skb": "XDP program",
}
"""Functions of the kernel that drop without a reason of their own."""

COPIES = frozenset(("packet_rcv", "tpacket_rcv", "raw_rcv", "raw_rcv_skb", "rawv6_rcv", "rawv6_rcv_skb"))
"""Functions that drop a copy of a packet, made for a raw or packet socket: the packet itself goes on."""

_HAD_ALREADY = frozenset(("TCP_OLD_DATA", "TCP_OFOMERGE"))
_TIME_WAIT = frozenset(("tcp_v4_rcv", "tcp_v6_rcv"))


def is_loss(reason: str, where: str) -> bool:
    """Whether anybody misses the packet: not where only a copy was dropped, nor where its receiver's TCP was done with it.
    That had what it carried already, or the connection was closed and a TIME_WAIT took the last segments."""
    taken = reason in _HAD_ALREADY or (reason == UNSPECIFIED and where in _TIME_WAIT)
    return where not in COPIES and not taken


@dataclass(frozen=True, slots=True)
class Reasons:
    """The running kernel's reasons: number → name without its prefix, the words as the kernel has them."""

    names: Mapping[int, str]
    subsystems: Mapping[int, str]

    @classmethod
    def of(cls, reasons: Mapping[str, int], subsystems: Mapping[str, int]) -> Reasons:
        """From the enums skb_drop_reason and skb_drop_reason_subsys (empty where the kernel is older than they are)."""
        return cls(
            {value: name.removeprefix(PREFIX) for name, value in reasons.items()},
            {value: name.removeprefix(SUBSYSTEM_PREFIX) for name, value in subsystems.items() if value},
        )

    def name(self, number: int) -> str:
        """The reason's name; one of a subsystem is numbered within it (OPENVSWITCH_3), one that nobody knows alone."""
        subsystem = number >> SUBSYSTEM_SHIFT
        if subsystem:
            owner = self.subsystems.get(subsystem, f"SUBSYS_{subsystem}")
            return f"{owner}_{number & ((1 << SUBSYSTEM_SHIFT) - 1)}"
        return self.names.get(number, f"REASON_{number}")


def in_words(reason: str, where: str = "", ttl: int | None = None, *, carrier: bool = True) -> str:
    """A reason for people. `where` is the kernel's function, `ttl` what the packet had left, `carrier` whether its interface
    had one: they tell what the reason alone does not."""
    words = _PLACES.get(where, f"dropped in {where}") if reason == UNSPECIFIED and where else WORDS.get(reason)
    if not carrier and (reason.startswith(("QDISC", "NEIGH")) or words == WORDS["NEIGH_FAILED"]):
        return "link without carrier"
    if reason == "IP_INHDR" and ttl is not None and ttl <= 1:
        return "TTL exceeded"
    return words or reason.replace("_", " ").lower()
