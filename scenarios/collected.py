"""Drops as the kernel told them while a run goes on: read in time, before the ring is full, and kept. It decides nothing."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

from probes.drops.kernel import KernelDrop, KernelDrops

EVERY_S = 0.25
MOST = 1 << 19
"""Kept; older ones are forgotten, and that is counted."""


class Collected:
    """A context manager around a detector. Ask `between`; `missing` says what it could not see."""

    def __init__(self, detector: KernelDrops) -> None:
        self._detector = detector
        self._kept: deque[KernelDrop] = deque()
        self._forgotten = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="drops", daemon=True)
        self._failed = ""

    def __enter__(self) -> Collected:
        self._detector.__enter__()
        if not self._detector.unavailable:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._detector.__exit__(kind, value, trace)

    def _go(self) -> None:
        while not self._over.wait(EVERY_S):
            try:
                self._read()
            except Exception as error:  # whoever asks is told; a thread that dies tells nobody
                self._failed = f"reading the kernel's drops failed: {error}"
                return

    def _read(self) -> None:
        with self._lock:
            self._kept.extend(self._detector.read())
            while len(self._kept) > MOST:
                self._kept.popleft()
                self._forgotten += 1

    def forget(self, before_ns: int) -> None:
        """Lets go of what was dropped before."""
        with self._lock:
            self._kept = deque(drop for drop in self._kept if drop.t_ns >= before_ns)

    def between(self, t0_ns: int, t1_ns: int) -> list[KernelDrop]:
        """What was dropped in [t0, t1), oldest first."""
        if not self._detector.unavailable and not self._failed:
            self._read()
        with self._lock:
            return [drop for drop in self._kept if t0_ns <= drop.t_ns < t1_ns]

    @property
    def tells(self) -> bool:
        """Whether single drops are told here; where not, counters have to do."""
        return not self._detector.unavailable

    def missing(self) -> str:
        """Empty where everything was seen; else a sentence."""
        if self._detector.unavailable:
            return self._detector.unavailable
        if self._failed:
            return self._failed
        lost = self._detector.lost + self._forgotten
        return f"{lost} of the kernel's drops found no room" if lost else ""
