"""Keeps one program of the node running: starts it, says when it ended, starts it again. It must not know what it does.

A program that died stays down for a while on purpose: a restart within milliseconds would hide a fault from everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence

from node.events import Events

RESTART_S = 3.0
_STOP_S = 2.0


def ending(code: int) -> str:
    """How a process ended, from its return code as subprocess gives it."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


async def _nothing() -> None:
    return


class Program:
    """One program. `ready` is awaited after each start; what it raises as TimeoutError is told as an event. One that
    `hands_over` writes lines of drops (node/drops.py) to its standard output, which are passed on as they are."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        events: Events,
        *,
        ready: Callable[[], Awaitable[None]] = _nothing,
        hands_over: bool = False,
        restart_s: float = RESTART_S,
    ) -> None:
        self.name, self._argv, self._events = name, list(argv), events
        self._ready, self._restart_s = ready, restart_s
        self._output = asyncio.subprocess.PIPE if hands_over else None
        self.pid: int | None = None

    async def run(self) -> None:
        """Until cancelled; then the program is asked to end, and killed where it does not."""
        while True:
            process = await asyncio.create_subprocess_exec(*self._argv, stdout=self._output)
            self.pid = process.pid
            try:
                await self._watch(process)
            finally:
                self.pid = None
                await _end(process)
            self._events.emit("exited", ending(process.returncode or 0), source=self.name)
            await asyncio.sleep(self._restart_s)  # down long enough to be seen

    async def _pass_on(self, output: asyncio.StreamReader | None) -> None:
        while output is not None and (line := await output.readline()):
            self._events.tell([line])

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        getting_ready = asyncio.ensure_future(self._ready())
        passing_on = asyncio.ensure_future(self._pass_on(process.stdout))
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait({getting_ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if getting_ready.done():
                try:
                    getting_ready.result()
                    self._events.emit("started", f"pid {process.pid}", source=self.name)
                except TimeoutError as late:
                    self._events.emit("not ready", str(late), source=self.name)
            await ended
        finally:
            getting_ready.cancel()
            passing_on.cancel()
            ended.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
