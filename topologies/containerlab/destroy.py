"""Takes a lab off the host, whole or half made: what containerlab and Docker have of it first, then what is ours."""

from __future__ import annotations

import contextlib
import shutil

from topologies.containerlab import containers, tool
from topologies.linux.destroy import clear
from topologies.linux.state import Places
from topologies.runtime import NoSuchLab, RuntimeFailure, RuntimeMissing


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
        if state is None or not state.up:  # half made: its network may be there before its first container is
            containers.remove_unused_networks(client)
    clear(places)
