"""IANA's numbers of the protocols that probes are sent by."""

from __future__ import annotations

from probes.packets import ProbeFlow

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58


def protocol_of(flow: ProbeFlow) -> int:
    """The protocol number in the IP header of a flow's probes."""
    if flow.transport == "icmp":
        return ICMP6 if flow.family == 6 else ICMP
    return UDP if flow.transport == "udp" else TCP
