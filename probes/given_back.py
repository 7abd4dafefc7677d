"""Memory of a log that has been read: its beginning is given back while its writer goes on at its end. It knows no line of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

KEEP_SIZE, PUNCH_HOLE = 1, 2
"""Of fallocate(2)."""
_libc = ctypes.CDLL(None, use_errno=True)


def give_back(path: Path, length: int) -> None:
    """Frees the first `length` bytes of a file, which read as zeros from then on; sizes and offsets stay. Logs lie in memory (tmpfs).
    A file system that cannot do that keeps them, and so does a file that is gone."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDWR)
        try:
            if length > 0:
                _libc.fallocate64(fd, KEEP_SIZE | PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(length))
        finally:
            os.close(fd)
