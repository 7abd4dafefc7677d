"""Appends records to an evidence file, a whole line at a time, from any thread.

It knows the schema and a path; it must not know who measures or what the lines will be used for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from reports.evidence.schema import Data, record


class CannotWrite(OSError):
    """The disk refuses evidence; the message says where and why. A run without evidence has no verdict."""

    def __str__(self) -> str:
        return f"the evidence cannot be written to {self.filename}: {self.strerror}"


class EvidenceWriter:
    """Append-only. Every line is handed to the kernel in one write before `write` returns, so that a harness that is
    killed leaves at most one cut line, and none when it is the process alone that dies."""

    def __init__(self, path: Path | str) -> None:
        """Raises CannotWrite."""
        self.path = Path(path)
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._end_a_cut_line()
            self._file = self.path.open("ab", buffering=0)

    def write(
        self, data: Data, *, t_ns: int, acc_ns: int = 0, scenario: str | None = None, node: str | None = None
    ) -> None:
        """Append one record; `t_ns` is CLOCK_MONOTONIC, `acc_ns` how exactly it is known.

        Raises ValueError once the writer is closed, CannotWrite when the disk refuses.
        """
        line = self._encoder.encode(record(data, t_ns=t_ns, acc_ns=acc_ns, scenario=scenario, node=node)) + b"\n"
        with self._lock, self._told():
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def __enter__(self) -> EvidenceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotWrite(error.errno, error.strerror, str(self.path)) from error

    def _end_a_cut_line(self) -> None:
        """A file that an earlier writer left mid-line: drop that rest, or the next record would be glued to it."""
        if not self.path.exists():
            return
        with self.path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            keep = size
            while keep:
                start = max(0, keep - 65536)
                file.seek(start)
                newline = file.read(keep - start).rfind(b"\n")
                if newline >= 0:
                    keep = start + newline + 1
                    break
                keep = start
            if keep != size:
                file.truncate(keep)
