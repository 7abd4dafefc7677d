"""Runs one measuring process inside a network namespace, tied to our life. Knows not what it measures."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class ProbeError(Exception):
    """A measuring process did not start or did not do what was asked; the message says what was missing."""


FIRST_IN_LINE = -20
"""The niceness of what measures: nothing may make it late."""
ORDINARY = 0
"""That of what may wait for its turn, as any process of the host's."""


def prefer(pid: int, nice: int) -> None:
    """Gives a process its place in the line for a CPU. Where that is refused, lateness will tell.

    A session of its own is a group of its own to the scheduler (sched(7), autogroup): the group has to be put first, too.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


class Started(ABC):
    """What is started and stopped: a context manager of that."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Child:
    """A process in the network namespace at `netns` (None: the host's); everything else it sees is the host's.

    Its standard input is a pipe whose other end only we hold: it ends itself when that closes, so a harness killed by
    SIGKILL leaves nothing behind; one that takes orders hears them there. It says one line on standard output when it is ready.
    Its complaints go to `log`.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        netns: Path | None,
        log: Path,
        environment: Mapping[str, str] | None = None,
        nice: int = FIRST_IN_LINE,
    ) -> None:
        self.log = log
        command = [*([] if netns is None else ["nsenter", f"--net={netns}"]), *map(str, argv)]
        with log.open("wb") as errors:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=None if environment is None else {**os.environ, **environment},
                    start_new_session=True,  # Ctrl-C goes to the harness, which then stops us in its own order
                )
            except OSError as error:
                raise ProbeError(f"cannot run {command[0]}: {error}") from error
        prefer(self._process.pid, nice)

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process exists; a stopped (SIGSTOP) one does, and only its heartbeat tells."""
        return self._process.poll() is None

    def wait_ready(self, deadline_s: float, missing: Callable[[], str]) -> None:
        """Returns at the process's ready line.

        Else raises ProbeError: with its own complaint if it ended, with what `missing()` says at the deadline.
        """
        out = self._stdout()
        end = time.monotonic() + deadline_s
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if not selector.select(max(0.0, end - time.monotonic())):
                reason = missing()
                self.stop()
                raise ProbeError(f"not ready after {deadline_s:g} s: {reason}")
        if not out.readline():
            self.stop()
            said = self.log.read_text(errors="replace").strip()
            raise ProbeError(said or f"ended with exit code {self._process.returncode} and said nothing")

    def tell(self, line: bytes) -> None:
        """Says a line on its standard input; lines come in order, and none is lost. Raises ProbeError where nobody hears it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ProbeError(f"process {self.pid} has ended and was not told to {line.decode()}") from error

    def stop(self, patience_s: float = 2.0) -> None:
        """Asks it to end, and insists after `patience_s`. Harmless when it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)  # a stopped process would not hear the first
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was told to who had ended already
                    stream.close()

    def _stdout(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise ProbeError("its standard output is not ours")
        return self._process.stdout
