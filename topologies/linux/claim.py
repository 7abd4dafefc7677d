"""A lab's name on this host, taken by one harness at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from topologies.linux.private import MINE, private, safe_parent
from topologies.linux.state import Places
from topologies.runtime import LabExists, RuntimeFailure


def claim(places: Places) -> None:
    """Makes the lab's directory, which only we can enter. Raises LabExists when there is one: up, being made, or left by a harness
    that was killed; RuntimeFailure where somebody else has made what it would lie in."""
    labs = places.root.parent
    while True:
        # Another lab's end may remove what they have in common in between: then it is made again.
        try:
            safe_parent(labs.parent)
            private(labs)
            places.root.mkdir(MINE)
        except FileNotFoundError:
            continue
        except FileExistsError:
            raise LabExists(f"lab {places.lab} {_found(places)}; `nospof down {places.lab}` takes it down") from None
        return


@contextmanager
def taken_back(lab: str, destroy: Callable[[str], None]) -> Iterator[None]:
    """Takes the lab off the host before an error leaves the block; one of the host's own leaves as RuntimeFailure."""
    try:
        yield
    except BaseException as error:
        destroy(lab)
        if isinstance(error, OSError):
            raise RuntimeFailure(str(error)) from error
        raise


def _found(places: Places) -> str:
    known = places.read()
    if known is not None and known.up:
        return "is up already"
    if known is not None and Path(f"/proc/{known.owner_pid}").exists():
        return f"is being made by process {known.owner_pid}"
    return "was left half made by a harness that was killed"
