"""What the data plane counts, in the order of `enum counter` in maps.h; a sentence for each. It knows no maps."""

from __future__ import annotations

COUNTERS: dict[str, str] = {
    "received": "Packets that came for one of this node's VIPs.",
    "forwarded": "Packets encapsulated and sent towards a backend.",
    "pinned": "Packets that followed the backend that the flow table remembered.",
    "hashed": "Packets whose backend the Maglev ring chose, because the flow was new here or its pin was stale.",
    "rehashed": "Flows whose pinned backend no longer serves; the ring chose another (counted under hashed, too).",
    "promoted": "Flows that were seen twice and moved out of the flow table's trial way.",
    "to_stack": "Encapsulated packets left to the kernel's stack, because the next hop's link address was unknown.",
    "drop_no_backend": "Dropped: the service has no healthy backend.",
    "drop_no_route": "Dropped: there is no route to the backend.",
    "drop_too_big": "Dropped: with the tunnel's header the packet is larger than the link allows.",
    "drop_fragment": "Dropped: fragments carry no ports, so they cannot be sent where the rest of their flow goes.",
    "drop_options": "Dropped: the packet has IPv4 options.",
    "drop_extension": "Dropped: the packet has IPv6 extension headers.",
    "drop_not_served": "Dropped: no service has this VIP, port and protocol.",
    "drop_malformed": "Dropped: the packet is shorter than its headers say.",
    "pings": "Echo requests, which go to a backend of the VIP's first service.",
    "icmp_errors": "ICMP errors, which go to the backend of the flow that they quote.",
}

REASONS = tuple(name.removeprefix("drop_") for name in COUNTERS if name.startswith("drop_"))
"""Why a packet is dropped, in the order of the `DROP_` counters: the words under which drops are handed over."""
