"""Waits until a node has all its links: some runtimes start it before. `python3 -m node.links COUNT`.

Every end is an interface called eth1, eth2 and so on. Source: rtnetlink(7).
"""

from __future__ import annotations

import socket
import sys
import time

DEADLINE_S = 60.0
_RTMGRP_LINK = 1


def links() -> int:
    """How many there are now; eth0 would be a management interface."""
    return sum(name.startswith("eth") and name != "eth0" for _, name in socket.if_nameindex())


def wait(count: int, deadline_s: float = DEADLINE_S) -> int:
    """Until there are `count`, or it is too late; how many there are then."""
    end = time.monotonic() + deadline_s
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as news:
        news.bind((0, _RTMGRP_LINK))  # before the first look, so that no link can come in between
        while (found := links()) < count and (left := end - time.monotonic()) > 0:
            news.settimeout(left)
            try:
                news.recv(65536)
            except TimeoutError:
                break
    return found


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    if (there := wait(wanted)) < wanted:
        sys.exit(f"links: {there} of {wanted} after {DEADLINE_S:g} s")
