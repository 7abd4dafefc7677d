"""Writes what becomes of each request, as Locust's own events tell it. Knows no schedule and no namespace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from probes.load.record import AnyLine, Pulse, Request, Started, TaskFailed

NO_ANSWER = "no answer in time"


class Recorder:
    """The log of one worker. `answered` is called with the target of every request that succeeded (-1: a user's own)."""

    def __init__(self, path: Path, answered: Callable[[int], None]) -> None:
        self._answered = answered
        self._log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._encode = msgspec.json.Encoder().encode

    def write(self, line: AnyLine) -> None:
        """One whole line in one write, so that a reader or a crash never sees half of it."""
        os.write(self._log, self._encode(line) + b"\n")

    def started(self) -> None:
        """The worker is where it should be."""
        self.write(Started(os.getpid(), time.monotonic_ns()))

    def pulse(self) -> None:
        """The worker runs."""
        self.write(Pulse(time.monotonic_ns()))

    def on_request(
        self,
        *,
        response_time: float,
        exception: BaseException | None,
        context: dict[str, int] | None = None,
        response: object = None,
        **_: object,
    ) -> None:
        """Locust's `request` event. Requests of our own users carry who, which, and when in their context."""
        end = time.monotonic_ns()
        given = context or {}
        start = given.get("start_ns", end - int(response_time * 1e6))
        status = getattr(response, "status_code", 0)
        line = Request(
            user=given.get("user", -1),
            target=given.get("target", -1),
            k=given.get("k", -1),
            intended_ns=given.get("intended_ns"),
            start_ns=start,
            end_ns=end,
            status=status if isinstance(status, int) else 0,
            failure=None if exception is None else reason(exception, status if isinstance(status, int) else 0),
        )
        self.write(line)
        if exception is None:
            self._answered(line.target)

    def on_user_error(self, *, exception: BaseException, **_: object) -> None:
        """Locust's `user_error` event: a task raised what it should not."""
        self.write(TaskFailed(time.monotonic_ns(), last_sentence(exception)))


def reason(exception: BaseException, status: int) -> str:
    """A failure in words that are the same for every client library, so that they can be counted."""
    if status >= 400:
        return f"HTTP {status}"
    for error in _chain(exception):
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return NO_ANSWER
        if isinstance(error, OSError) and error.errno:
            return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
        if "ConnectionClosed" in type(error).__name__ or type(error).__name__ == "RemoteDisconnected":
            return "connection closed before the answer"
    return last_sentence(exception)


def last_sentence(exception: BaseException) -> str:
    """The exception's name and the last line of what it says."""
    said = str(exception).strip().splitlines()
    return f"{type(exception).__name__}: {said[-1].strip()}" if said else type(exception).__name__


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """The exception and all that it wraps: by cause, context, argument, or the names that libraries give it."""
    seen: set[int] = set()
    waiting = [exception]
    while waiting:
        error = waiting.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        named = (getattr(error, "reason", None), getattr(error, "original", None))  # urllib3; geventhttpclient
        inner = (error.__cause__, error.__context__, *named, *error.args)
        waiting += [e for e in inner if isinstance(e, BaseException)]
