"""The runtimes there are, by name; a lab that is up knows its own. The one place that imports them all."""

from __future__ import annotations

from topologies.image import store
from topologies.linux.lab import Deployed, LinuxLab
from topologies.linux.room import refuse_larger
from topologies.linux.state import Places, labs
from topologies.model import IMAGES, Topology
from topologies.runtime import NoSuchLab, Say

__all__ = ["RUNTIMES", "Deployed", "LinuxLab", "deploy", "destroy", "images_of", "labs", "open_lab"]

RUNTIMES = ("oci", "containerlab")


def images_of(runtime: str) -> frozenset[str] | None:
    """Names of the images that a runtime can run; None where it takes any."""
    return None if runtime == "containerlab" else IMAGES | {one.name for one in store.imported()}


def deploy(topology: Topology, *, runtime: str = "oci", say: Say = lambda _: None) -> Deployed:
    """The topology as a running lab.

    Raises BadInput for one that is too large, LabExists, ImageError, RuntimeMissing, RuntimeFailure; in each case nothing of this
    attempt is left on the host.
    """
    refuse_larger(topology)
    # Imported when asked for: who has no Docker needs none of its packages, and starts sooner.
    if runtime == "containerlab":
        from topologies.containerlab.deploy import deploy as made  # noqa: PLC0415
    else:
        from topologies.oci.deploy import deploy as made  # noqa: PLC0415
    return made(topology, say=say)


def open_lab(name: str) -> LinuxLab:
    """The running lab of that name. Raises NoSuchLab when it is not up."""
    if _runtime_of(name) == "containerlab":
        from topologies.containerlab.lab import ContainerlabLab  # noqa: PLC0415

        return ContainerlabLab.open(name)
    from topologies.oci.lab import OciLab  # noqa: PLC0415

    return OciLab.open(name)


def destroy(name: str) -> None:
    """Takes the lab of that name off the host, whole or half made. Raises NoSuchLab, RuntimeFailure, RuntimeMissing."""
    if _runtime_of(name) == "containerlab":
        from topologies.containerlab.destroy import destroy as ended  # noqa: PLC0415
    else:
        from topologies.oci.destroy import destroy as ended  # noqa: PLC0415
    ended(name)


def _runtime_of(name: str) -> str:
    places = Places(name)
    if not places.root.exists():
        raise NoSuchLab(f"lab {name} is not up")
    state = places.read()
    return state.runtime if state else "oci"
