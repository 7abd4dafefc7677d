"""Takes a lab off the host, whole or half made: what containerlab and Docker have of it first, then what is ours."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import threading
import time

from docker import DockerClient
from pyroute2 import IPRoute

from topologies.containerlab import containers, tool
from topologies.linux.destroy import clear, let_go
from topologies.linux.state import LabState, Places
from topologies.runtime import NoSuchLab, RuntimeFailure, RuntimeMissing

UNDER_WAY_S = 1.5
_MADE = re.compile("clab-[0-9a-f]{8}")


def _end_what_is_under_way(client: DockerClient, lab: str) -> None:
    """Of a lab that was left half made: Docker carries out what it was asked for, although who asked was killed, and says to
    nobody when it has. A network is there before its first container is."""
    tick, end = threading.Event(), time.monotonic() + UNDER_WAY_S
    while time.monotonic() < end:
        containers.remove_all(client, lab)
        containers.remove_unused_networks(client)
        tick.wait(0.1)


def _links_under_way(state: LabState | None) -> set[str]:
    """Links that containerlab has made on the host and not moved into their nodes yet, of those that came with this lab."""
    if state is None:
        return set()
    return {name for _, name in socket.if_nameindex() if _MADE.fullmatch(name)} - set(state.host_links)


def _remove_links(names: set[str]) -> None:
    """Those that nobody has moved for a while: another lab's are on the host for milliseconds."""
    with IPRoute() as rtnl:
        for name in sorted(names):
            for index in rtnl.link_lookup(ifname=name):  # its other end goes with it
                rtnl.link("del", index=index)


def destroy(lab: str) -> None:
    """Raises NoSuchLab; RuntimeFailure and RuntimeMissing when Docker does not let go of it: then it can be tried again."""
    places = Places(lab)
    if not places.root.exists():
        raise NoSuchLab(f"lab {lab} is not up")
    let_go(places)
    with containers.engine() as client:
        if shutil.which("containerlab") and containers.of_lab(client, lab):
            with contextlib.suppress(RuntimeFailure, RuntimeMissing):  # half made, it may not know it; Docker does
                tool.destroy(lab, places.root)
        containers.remove_all(client, lab)
        state = places.read()
        if state is None or not state.up:
            before = _links_under_way(state)
            _end_what_is_under_way(client, lab)
            _remove_links(before & _links_under_way(state))
    clear(places)
