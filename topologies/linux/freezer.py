"""Holds every process of a control group still for a moment, by the freezer of either version. It knows no node.

Nobody forks, ends or answers meanwhile, so a list of them is whole. It never holds a group that we are in ourselves.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from topologies.linux.cgroups import groups_by_controller
from topologies.runtime import RuntimeFailure

STILL_S = 5.0
AGAIN_S = 0.25


@contextlib.contextmanager
def held_still(pids: Iterable[int]) -> Iterator[None]:
    """While the block runs, the groups of these processes stand still. A process of no group of its own goes on.

    Raises RuntimeFailure for a group that does not come to rest; it goes on then, as after the block.
    """
    with ExitStack() as stack:
        for group in _to_hold(group for pid in pids if (group := _group_of(pid)) is not None):
            stack.callback(_write, group, frozen=False)
            _hold(group)
        yield


def _to_hold(groups: Iterable[Path]) -> set[Path]:
    """Those of version 1, where there are any. Who has just died is in none of these any more, and still in the one of version 2 that
    the others are in: frozen by the first, they are never said to stand still by the second."""
    found = set(groups)
    return {group for group in found if (group / "freezer.state").exists()} or found


def release(pids: Iterable[int]) -> None:
    """Lets go of the groups of these processes, which a killed harness may have left held: of version 1 nothing could end them."""
    for group in {group for pid in pids if (group := _group_of(pid)) is not None}:
        _write(group, frozen=False)


def _group_of(pid: int) -> Path | None:
    """The group by which a process is frozen; None for one that is gone, and where it would be ours too."""
    with contextlib.suppress(OSError):
        theirs, ours = groups_by_controller(pid), groups_by_controller(os.getpid())
        for controller in ("freezer", "unified"):
            group = theirs.get(controller)
            if group is None or not any((group / name).exists() for name in ("freezer.state", "cgroup.freeze")):
                continue
            own = ours.get(controller)
            return None if own is None or own.is_relative_to(group) else group
    return None


def _write(group: Path, *, frozen: bool) -> None:
    for name, words in (("freezer.state", ("THAWED", "FROZEN")), ("cgroup.freeze", ("0", "1"))):
        file = group / name
        if file.exists():
            with contextlib.suppress(FileNotFoundError, OSError) if not frozen else contextlib.nullcontext():
                file.write_text(words[frozen])


def _hold(group: Path) -> None:
    """Freezes the group. Where its processes fork and end all the time the kernel may miss that the last one stands: then it is
    let go for a moment and frozen again."""
    tick, end = threading.Event(), time.monotonic() + STILL_S
    while True:
        _write(group, frozen=True)
        again = time.monotonic() + AGAIN_S
        while not (stands := _stands(group)) and time.monotonic() < again:
            tick.wait(0.001)
        if stands:
            return
        if time.monotonic() > end:
            raise RuntimeFailure(
                f"the processes of control group {group} do not stand still within {STILL_S:g} s: {_states(group)}"
            )
        _write(group, frozen=False)


def _states(group: Path) -> str:
    """Its processes with their states (proc_pid_stat(5)) and the function of the kernel that each waits in."""
    found = []
    for pid in (group / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            process = Path("/proc") / pid
            begin, _, rest = process.joinpath("stat").read_text().rpartition(")")
            found.append(f"{begin}) {rest.split()[0]} {process.joinpath('wchan').read_text()}")
    return ", ".join(found) or "none is left"


def _stands(group: Path) -> bool:
    """Reading the state has the kernel of version 1 look again at those that were not frozen yet."""
    state = group / "freezer.state"
    if state.exists():
        return state.read_text().strip() == "FROZEN"
    return "frozen 1" in (group / "cgroup.events").read_text()
