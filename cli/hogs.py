"""Processes that take all the CPU they can get, one a core: what a busy machine does to a measurement. They die with us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
_SPIN = f"""
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit()
while True:
    pass
"""


@contextmanager
def hogs(count: int) -> Iterator[list[int]]:
    """`count` busy processes while the context lasts; gives their process ids."""
    argv = [sys.executable, "-S", "-c", _SPIN, str(os.getpid())]
    # Each in a session of its own: somebody else's work, weighed by the scheduler as such.
    started = [subprocess.Popen(argv, start_new_session=True) for _ in range(count)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
