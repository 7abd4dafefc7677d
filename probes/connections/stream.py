"""A connection with one answer without end, whose bytes are its sign of life. Judges nothing.

Its head names the backend. That it is whole breaks it, unless the connection's end was announced before: by a GOAWAY, or by its own
`Connection: close`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from probes.connections.held import Held
from probes.connections.log import Beat, Line, Unstreamed
from probes.connections.speech import Answer, Goodbye, Head, Heard, Part


class Stream(Held):
    """Here `sent_ns` is since when nothing has come. Who answers with an error, or is whole within an interval, does not stream: that
    is told, and asked again an interval later."""

    def _begin(self) -> None:
        self.told_ns = self._keeper.stall_ns // 2  # short silences are nothing that waits
        self._status = 0
        self._head_ns: int | None = None
        self._came = self._body = False
        self._gap = (0, 0)
        self._written_ns = 0
        self._send()

    # -- signs of life ---------------------------------------------------------------------------------------------

    def _take(self, heard: Iterable[Heard]) -> None:
        super()._take(heard)
        came, self._came = self._came, False
        if came and not self._over and self.sent_ns is not None:
            self._live(self.sent_ns)

    def _hear(self, one: Heard) -> None:
        match one:
            case Head(status, backend):
                self._status, self._head_ns = status, time.monotonic_ns()
                self._came = True
                self._named(backend)
            case Part():
                self._came = self._body = True
            case Goodbye(False) if self._head_ns is not None and self.sent_ns is not None:
                self._break("closed")  # what it answers it had accepted
            case _:
                super()._hear(one)

    def _live(self, since_ns: int) -> None:
        now = self.sent_ns = time.monotonic_ns()
        if now - since_ns >= self._gap[1] - self._gap[0]:
            self._gap = (since_ns, now)
        if self._body and self._status == 200 and now - self._written_ns >= self._keeper.interval_ns:
            self._write_gap()
            self._written_ns = now
            self._keeper.answered(self)

    def _write_gap(self) -> None:
        self._keeper.write(Beat(self.id, self.incarnation, *self._gap, self._status, self._backend))
        self._gap = (0, 0)

    def _stalled(self) -> None:
        """Looked at once per stall, not set anew with every byte."""
        assert self.sent_ns is not None
        left_ns = self.sent_ns + self._keeper.stall_ns - time.monotonic_ns()
        if left_ns > 0:
            self._stall = self._loop.call_later(left_ns / 1e9, self._stalled)
        else:
            self._break("stall")

    # -- ends ------------------------------------------------------------------------------------------------------

    def _answer(self, answer: Answer, sent_ns: int) -> None:
        last = answer.last or self._last
        if answer.status != 200 or self._young():
            self._not_streaming(answer, sent_ns, last=last)
        elif last:
            self._close()
        else:
            self._break("closed")

    def _young(self) -> bool:
        return self._head_ns is not None and time.monotonic_ns() - self._head_ns < self._keeper.interval_ns

    def _not_streaming(self, answer: Answer, sent_ns: int, *, last: bool) -> None:
        now, again = time.monotonic_ns(), self._keeper.interval_ns / 1e9
        self._keeper.write(Unstreamed(self.id, self.incarnation, sent_ns, now, answer.status, answer.backend))
        self._keeper.answered(self)
        self._settle()
        self._head_ns, self._came, self._body, self._gap = None, False, False, (0, 0)
        self.reopen_at = self._loop.time() + again
        if last:
            self._close()
        else:
            self._timer = self._loop.call_later(again, self._send)

    def _hung_up(self) -> None:
        # An answer that only the connection's end makes whole may have been cut: of a stream nobody could tell.
        if self._head_ns is None or self._young() or self._status != 200:
            super()._hung_up()
        else:
            self._break("closed")

    def _end(self, line: Line, leave: Callable[[asyncio.Transport], object]) -> None:
        if self._body and self._gap[1] > self._gap[0]:
            self._write_gap()
        super()._end(line, leave)
