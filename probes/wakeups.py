"""How late an ordinary process gets its work done: one that asks for a small share of a CPU, to be put among the processes of a lab.

What measures comes first in the line for a CPU, so its own punctuality says nothing of the routers' and proxies'. This does.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from probes.child import Child, ProbeError, Started
from probes.flows import Ints

INTERVAL_NS = 5_000_000
WORK_NS = 250_000
"""A twentieth of a CPU: about what a proxy of the reference asks for under the demo's load."""
HEADER = np.dtype([("capacity", "<u8"), ("interval_ns", "<i8"), ("start_ns", "<i8"), ("next", "<u8")])
"""Mirrors `struct records` of probes/native/wakeups.c; lateness in ns follows, one i8 per waking."""


class Wakeups(Started):
    """The process and its records, in `directory` (put it on tmpfs). A context manager.

    The records hold the last 262144 wakings, and outlive the process however it ends.
    """

    def __init__(self, binary: Path, directory: Path, interval_ns: int = INTERVAL_NS, work_ns: int = WORK_NS) -> None:
        self.interval_ns, self.work_ns = interval_ns, work_ns
        self._binary = binary
        self._directory = directory
        self._child: Child | None = None
        self._header: Any = None
        self._late: Any = None

    def start(self, deadline_s: float = 5.0) -> None:
        """Returns when it waits for its first waking. Raises ProbeError saying what was missing."""
        self._directory.mkdir(parents=True, exist_ok=True)
        records = self._directory / "records"
        self._child = Child(
            [self._binary, str(self.interval_ns), str(self.work_ns), records], None, self._directory / "log", nice=0
        )
        try:
            self._child.wait_ready(deadline_s, lambda: "wakeups has not begun its record file")
        except ProbeError as error:
            raise ProbeError(f"wakeups: {error}") from error
        raw = np.memmap(records, np.uint8, mode="r")
        self._header = raw[: HEADER.itemsize].view(HEADER).reshape(())
        self._late = raw[HEADER.itemsize :].view("<i8")
        if self._header["capacity"] != len(self._late):
            raise ProbeError(f"{records} is not in our layout; was it written by a program of this tree?")

    def stop(self) -> None:
        """Ends it; what was recorded stays readable."""
        if self._child is not None:
            self._child.stop()

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ProbeError("wakeups was not started")
        return self._child.pid

    def alive(self) -> bool:
        """Whether the process exists; one that is frozen does, and is later and later."""
        return self._child is not None and self._child.alive()

    def lateness(self, t0_ns: int, t1_ns: int) -> Ints:
        """How late each waking due in [t0, t1) was, in ns. One that has not come yet is as late as it is by now.

        Raises ProbeError for a window that the records no longer hold.
        """
        if self._header is None:
            raise ProbeError("wakeups was not started")
        start, written = int(self._header["start_ns"]), int(self._header["next"])
        first = max(0, -((start - t0_ns) // self.interval_ns))
        after = max(first, -((start - t1_ns) // self.interval_ns))
        if written - first > len(self._late):
            raise ProbeError(f"the window begins {written - first} wakings ago, and the records hold {len(self._late)}")
        number = np.arange(first, after, dtype=np.int64)
        late = self._late[number % len(self._late)].astype(np.int64)
        overdue = time.monotonic_ns() - (start + number * self.interval_ns)
        return np.where(number < written, late, np.maximum(overdue, 0))
