"""Processes by the network namespace they live in: how a lab's are found without trusting a pid that was written down."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from topologies.runtime import RuntimeFailure

AT_ONCE = 200
"""Processes that are ended in one step: each takes a descriptor."""


def namespace_id(path: Path) -> tuple[int, int] | None:
    """Device and inode of a held namespace; None where nothing is held."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def by_namespace(namespaces: Mapping[str, Path]) -> dict[str, dict[int, str]]:
    """Node → {pid: command name} for every process on the host that lives in one of these namespaces."""
    wanted = {namespace_id(path): node for node, path in namespaces.items()}
    wanted.pop(None, None)
    found: dict[str, dict[int, str]] = {node: {} for node in namespaces}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = Path(entry.path, "ns/net").stat()
            node = wanted.get((stat.st_dev, stat.st_ino))
            if node is not None:
                found[node][int(entry.name)] = Path(entry.path, "comm").read_text().strip()
    return found


def by_argument(programs: Collection[str], below: Path) -> list[int]:
    """Pids of these programs that were given a path at or below this one."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                program, *arguments = map(os.fsdecode, Path(entry.path, "cmdline").read_bytes().split(b"\0"))
                if Path(program).name in programs and any(_is_below(argument, below) for argument in arguments):
                    found.append(int(entry.name))
    return found


def _is_below(text: str, path: Path) -> bool:
    return text == str(path) or text.startswith(f"{path}/")


def leads_a_namespace(pid: int) -> bool:
    """Whether the kernel ends a whole pid namespace with this process, whoever forks in it meanwhile (pid_namespaces(7))."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
        return len(numbers) > 1 and numbers[-1] == "1"
    return False


def kill_everyone(namespaces: Mapping[str, Path], *, deadline_s: float = 5) -> None:
    """Ends every process that lives in one of these namespaces, those too that are forked meanwhile.

    First those whose end is the end of all below them, so that a node that forks without pause ends whole; then what else came in,
    until nobody is there. Raises RuntimeFailure naming those that stayed.
    """
    end = time.monotonic() + deadline_s
    while pids := [pid for found in by_namespace(namespaces).values() for pid in found]:
        if time.monotonic() > end:
            raise RuntimeFailure(f"processes {sorted(pids)[:10]} live on {deadline_s:g} s after all had got SIGKILL")
        kill_and_wait([pid for pid in pids if leads_a_namespace(pid)] or pids[:AT_ONCE], deadline_s=deadline_s)


def kill_and_wait(pids: Iterable[int], *, deadline_s: float = 5) -> None:
    """SIGKILL to each, then waits until every one is gone. Raises RuntimeFailure naming those that stayed."""
    handles: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handles[os.pidfd_open(pid)] = pid
    try:
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        poller = select.poll()
        for handle in handles:
            poller.register(handle, select.POLLIN)
        left = set(handles)
        end = time.monotonic() + deadline_s
        while left:
            ready = poller.poll(max(0, int((end - time.monotonic()) * 1000)))
            if not ready:
                raise RuntimeFailure(
                    f"processes {sorted(handles[h] for h in left)} did not end {deadline_s} s after SIGKILL"
                )
            for handle, _ in ready:
                poller.unregister(handle)
                left.discard(handle)
    finally:
        for handle in handles:
            os.close(handle)
