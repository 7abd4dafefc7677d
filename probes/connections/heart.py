"""A connection on which requests are answered one after another: at an interval, or, where it is idle, when it is asked. Judges
nothing.
"""

from __future__ import annotations

import time

from probes.connections.held import Held
from probes.connections.log import Beat
from probes.connections.speech import Answer


class Heart(Held):
    """A request at once, then one every interval, never a second one before the first is answered. An idle one says nothing more
    until `ask`."""

    def ask(self) -> int | None:
        """Sends a heartbeat unless one is under way. When it was sent; None where the connection is over."""
        if self._over:
            return None
        if self.sent_ns is None:
            self._send()
        return self.sent_ns

    def _begin(self) -> None:
        self._send()
        if self.place.use == "busy":
            self._schedule()

    def _answer(self, answer: Answer, sent_ns: int) -> None:
        last = answer.last or self._last
        self._settle()
        beat = Beat(self.id, self.incarnation, sent_ns, time.monotonic_ns(), answer.status, answer.backend)
        self._keeper.write(beat)
        self._keeper.answered(self)
        self._named(answer.backend)
        if last and not self._over:
            self._close()

    def _schedule(self) -> None:
        interval = self._keeper.interval_ns / 1e9
        now = self._loop.time()
        while self.next_due <= now:
            self.next_due += interval
        self._timer = self._loop.call_at(self.next_due, self._tick)

    def _tick(self) -> None:
        self.ask()
        self._schedule()
