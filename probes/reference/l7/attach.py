"""Makes this node the end of the L4 tier's tunnels: the decapsulating program on its links.
It must not know services, backends or Envoy; the program stays when this process has ended.

Run as `python3 -m l7.attach INTERFACE…`; reads /etc/reference/l7.json.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from bpf import BpfError, Object

from .config import CONFIG_PATH, ConfigError, L7Config, read_config

OBJECT_PATH = Path(__file__).with_name("decap.bpf.o")
REASONS = ("options", "malformed", "not_served")
"""Why the program drops a packet that came in a tunnel, as `enum reason`: the tunnel's header has options; the packet in it is
cut short; it is for none of the node's VIPs."""

_PRESENT = struct.pack("I", 1)


def prefix_key(network: IPv4Network | IPv6Network) -> bytes:
    """The key of the `vips` trie: prefix length in host order, address in network order, IPv4 as ::ffff:a.b.c.d."""
    if isinstance(network, IPv6Network):
        return struct.pack("I", network.prefixlen) + network.network_address.packed
    return struct.pack("I", 96 + network.prefixlen) + b"\0" * 10 + b"\xff\xff" + network.network_address.packed


def load(config: L7Config, path: Path = OBJECT_PATH) -> Object:
    """The program, loaded, with its maps filled; not attached yet. Raises BpfError."""
    loaded = Object(path)
    loaded.map("tunnel_ends").update(config.loopback.packed, _PRESENT)
    for vip in config.vips:
        loaded.map("vips").update(prefix_key(vip), _PRESENT)
    if config.others:
        loaded.map("next_node").update(struct.pack("I", 0), config.others[0].packed + config.others[-1].packed)
        for other in config.others:
            loaded.map("others").update(other.packed, _PRESENT)
    return loaded


def main() -> int:
    """Attaches to every interface named; 0, or 1 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="l7.attach", description=__doc__)
    parser.add_argument("interfaces", nargs="+")
    parser.add_argument("--config", type=Path, default=CONFIG_PATH)
    parser.add_argument("--object", type=Path, default=OBJECT_PATH)
    options = parser.parse_args()
    try:
        config = read_config(options.config)
        with load(config, options.object) as loaded:
            for interface in options.interfaces:
                loaded.program("decapsulate").attach(socket.if_nametoindex(interface))
    except (ConfigError, BpfError, OSError) as error:
        print(f"l7.attach: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
