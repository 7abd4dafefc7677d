"""Network namespaces held by bind mounts, and work done inside them. Knows nothing of nodes or labs."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND = 2, 4, 0x1000
MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2). Raises OSError with the kernel's reason."""

    def encoded(text: str | None) -> bytes | None:
        return None if text is None else text.encode()

    _call("mount", source.encode(), target.encode(), encoded(kind), ctypes.c_ulong(flags), encoded(data))


def unmount(target: Path) -> None:
    """Detaches whatever is mounted there; nothing mounted is fine."""
    if _libc.umount2(str(target).encode(), MNT_DETACH) != 0 and ctypes.get_errno() not in (22, 2):
        raise OSError(ctypes.get_errno(), f"umount {target}")


def _in_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a thread of its own, so that the caller never changes namespace."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # handed to the caller, whatever it is
            failure.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def create(path: Path) -> None:
    """A new network namespace, kept alive by a bind mount at `path`."""

    def body() -> None:
        _call("unshare", CLONE_NEWNET)
        path.touch()
        mount(f"/proc/self/task/{threading.get_native_id()}/ns/net", str(path), None, MS_BIND)

    _in_thread(body)


def hold(path: Path, namespace: Path) -> None:
    """Keeps an existing namespace alive by a bind mount at `path`, in place of what was held there before."""
    unmount(path)
    path.touch()
    mount(str(namespace), str(path), None, MS_BIND)


def remove(path: Path) -> None:
    """Lets go of the namespace; it ends when its last process and socket are gone."""
    unmount(path)
    path.unlink(missing_ok=True)


def inside(path: Path, work: Callable[[], T]) -> T:
    """Result of `work` run in a thread that has entered the namespace at `path`."""

    def body() -> T:
        with path.open("rb") as handle:
            _call("setns", handle.fileno(), CLONE_NEWNET)
        return work()

    return _in_thread(body)
