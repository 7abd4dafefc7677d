"""Takes a lab off the host, whole or half made: what containerlab and Docker have of it first, then what is ours."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time

from docker import DockerClient

from topologies.containerlab import containers, tool
from topologies.linux.destroy import clear
from topologies.linux.state import Places
from topologies.runtime import NoSuchLab, RuntimeFailure, RuntimeMissing

UNDER_WAY_S = 1.5


def _end_what_is_under_way(client: DockerClient, lab: str) -> None:
    """Of a lab that was left half made: Docker carries out what it was asked for, although who asked was killed, and says to
    nobody when it has. A network is there before its first container is."""
    tick, end = threading.Event(), time.monotonic() + UNDER_WAY_S
    while time.monotonic() < end:
        containers.remove_all(client, lab)
        containers.remove_unused_networks(client)
        tick.wait(0.1)


def destroy(lab: str) -> None:
    """Raises NoSuchLab; RuntimeFailure and RuntimeMissing when Docker does not let go of it: then it can be tried again."""
    places = Places(lab)
    if not places.root.exists():
        raise NoSuchLab(f"lab {lab} is not up")
    with containers.engine() as client:
        if shutil.which("containerlab") and containers.of_lab(client, lab):
            with contextlib.suppress(RuntimeFailure, RuntimeMissing):  # half made, it may not know it; Docker does
                tool.destroy(lab, places.root)
        containers.remove_all(client, lab)
        state = places.read()
        if state is None or not state.up:
            _end_what_is_under_way(client, lab)
    clear(places)
