"""Takes a lab off the host, whole or half made, whoever made it."""

from __future__ import annotations

from topologies.linux.cgroups import remove_cgroups
from topologies.linux.destroy import clear, end_processes
from topologies.linux.processes import by_argument, kill_and_wait
from topologies.linux.state import Places
from topologies.oci.accounting import release
from topologies.runtime import NoSuchLab


def destroy(lab: str) -> None:
    """Kills what runs in the lab's namespaces, unmounts, and removes every trace. Raises NoSuchLab, RuntimeFailure."""
    places = Places(lab)
    if not places.root.exists():
        raise NoSuchLab(f"lab {lab} is not up")
    # What a killed harness had begun goes on without it: the containers of these would appear behind our back.
    kill_and_wait(by_argument(("runc",), places.root))
    end_processes(places)
    release(lab)
    remove_cgroups(places.cgroup)
    clear(places)
