"""Counters of a node's network stack that mean a dropped packet, out of /proc/net/snmp, netstat and snmp6. Pure.

Left out is what sums up others (Udp InErrors, Tcp InErrs, TcpExt ListenDrops), so that no drop is counted twice by one stack.
Source: proc(5), Documentation/networking/snmp_counter.rst.
"""

from __future__ import annotations

from collections.abc import Mapping

from probes.drops.counter import Counter

_BOTH = {
    "InHdrErrors": "IP_INHDR",  # TTL exceeded is one of them
    "InAddrErrors": "IP_INADDRERRORS",
    "InUnknownProtos": "IP_NOPROTO",
    "InDiscards": "IN_DISCARDED",
    "OutDiscards": "OUT_DISCARDED",
    "OutNoRoutes": "IP_OUTNOROUTES",
    "InNoRoutes": "IP_INNOROUTES",
    "InTruncatedPkts": "PKT_TOO_SMALL",
    "ReasmFails": "REASSEMBLY_FAILED",
    "FragFails": "PKT_TOO_BIG",
}
_UDP = {
    "NoPorts": "NO_SOCKET",
    "RcvbufErrors": "SOCKET_RCVBUFF",
    "SndbufErrors": "SOCKET_SNDBUFF",
    "InCsumErrors": "UDP_CSUM",
    "MemErrors": "PROTO_MEM",
}
_TCP_EXTENDED = {
    "ListenOverflows": "TCP_LISTEN_OVERFLOW",
    "TCPReqQFullDrop": "TCP_REQUESTS_FULL",
    "TCPBacklogDrop": "SOCKET_BACKLOG",
    "TCPRcvQDrop": "PROTO_MEM",
    "TCPZeroWindowDrop": "TCP_ZEROWINDOW",
    "TCPOFODrop": "TCP_OFO_DROP",
    "RcvPruned": "TCP_RCV_PRUNED",
    "PFMemallocDrop": "PFMEMALLOC",
    "TCPMinTTLDrop": "TCP_MINTTL",
    "PAWSEstab": "TCP_RFC7323_PAWS",
    "IPReversePathFilter": "IP_RPFILTER",
}
MEANING: Mapping[str, str] = {
    **{f"{part}:{name}": reason for part in ("Ip", "IpExt", "Ip6") for name, reason in _BOTH.items()},
    **{f"{part}:{name}": reason for part in ("Udp", "Udp6") for name, reason in _UDP.items()},
    **{f"TcpExt:{name}": reason for name, reason in _TCP_EXTENDED.items()},
    "Ip6:InTooBigErrors": "PKT_TOO_BIG",
    "IpExt:InCsumErrors": "IP_CSUM",
    "Tcp:InCsumErrors": "TCP_CSUM",
    "Icmp:InCsumErrors": "ICMP_CSUM",
    "Icmp6:InCsumErrors": "ICMP_CSUM",
}
"""Part and name of a counter, as the kernel has them → what was wrong with the packet."""

_SIX = ("Ip6", "Icmp6", "UdpLite6", "Udp6")


def table(text: str) -> dict[str, int]:
    """`Part:Name` → value, from pairs of lines (names, then values), as in snmp and netstat. Lines that do not match
    their neighbour are left out."""
    lines = [line.split() for line in text.splitlines()]
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        if names and len(names) == len(values) and names[0] == values[0]:
            for name, value in zip(names[1:], values[1:], strict=True):
                found[names[0] + name] = int(value)
    return found


def pairs(text: str) -> dict[str, int]:
    """`Part:Name` → value, from lines of one name and one value, as in snmp6."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        part = next((six for six in _SIX if name.startswith(six)), None)
        if part is not None:
            found[f"{part}:{name.removeprefix(part).strip()}"] = int(value)
    return found


def counts(values: Mapping[str, int]) -> dict[Counter, int]:
    """Those that mean a drop."""
    return {Counter("stack", "", MEANING[name], name): value for name, value in values.items() if name in MEANING}
