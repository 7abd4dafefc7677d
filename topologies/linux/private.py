"""Directories of ours that nobody else on this host can enter, made where others might have been first. It knows no lab."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from topologies.linux import netns
from topologies.runtime import RuntimeFailure

MINE = 0o700
WHY = "whoever made it could lead us astray"


def safe_parent(path: Path) -> None:
    """Makes a directory in which nobody else can exchange what is ours, or takes the one that is there as it is. Raises
    RuntimeFailure for one of somebody else's, OSError where it cannot be made."""
    path.mkdir(parents=True, exist_ok=True)
    for found in (path.lstat(), path.stat()):
        if found.st_uid != os.geteuid():
            raise RuntimeFailure(f"{path} belongs to user {found.st_uid}, not to us: {WHY}")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise RuntimeFailure(f"everybody can write to {path}, and exchange what is in it")


def private(path: Path) -> None:
    """Makes a directory for us alone, or takes the one that we made before. What others may have put there is neither followed nor
    changed: RuntimeFailure says what it is. Raises OSError where it cannot be made."""
    try:
        path.mkdir(MINE)
    except FileExistsError:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            kind = "a symbolic link" if path.is_symlink() else "no directory"
            raise RuntimeFailure(f"{path} is {kind}, and not ours: {WHY}") from None
        try:
            _take(path, handle)
        finally:
            os.close(handle)


def _take(path: Path, handle: int) -> None:
    found = os.fstat(handle)
    if found.st_uid != os.geteuid():
        raise RuntimeFailure(f"{path} belongs to user {found.st_uid}, not to us: {WHY}")
    if stat.S_IMODE(found.st_mode) != MINE:
        os.fchmod(handle, MINE)


def in_memory(path: Path) -> None:
    """Makes such a directory below a private one, on a tmpfs of its own; one that is there already stays. Raises OSError."""
    private(path)
    if not os.path.ismount(path):
        netns.mount("tmpfs", str(path), "tmpfs", netns.MS_NOSUID | netns.MS_NODEV, f"mode={MINE:o}")


def discard(path: Path) -> None:
    """Takes what `in_memory` made away, with all that is in it; what still reads from it may go on."""
    netns.unmount(path)
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()
