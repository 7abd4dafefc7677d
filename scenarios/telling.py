"""What a run says while it goes on: lines that stay, and on a terminal one line that lives. It knows no scenario."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Teller:
    """Says things on the error stream: plain lines where it is no terminal, else with the time and a living last line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.__stderr__
        self._console = Console(file=self._stream, highlight=False)
        self._status: Status | None = None

    def say(self, message: str) -> None:
        """A line that stays."""
        stamp = f"{datetime.now(UTC):%H:%M:%S}"
        if self._console.is_terminal:
            word, colour = next(((w, c) for w, c in _COLOURS.items() if f": {w}:" in message), ("", ""))
            shown = escape(message)
            if word:
                shown = shown.replace(f": {word}:", f": [{colour}]{word}[/{colour}]:", 1)
            self._console.print(f"[dim]{stamp}[/dim]  {shown}", soft_wrap=True)
        elif self._stream is not None:
            self._stream.write(f"{stamp}  {message}\n")
            self._stream.flush()

    def now(self, message: str) -> None:
        """What is being done at the moment; the next word takes its place. Nothing where there is no terminal."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(f"{escape(message)} [dim](since {time.strftime('%H:%M:%S')})[/dim]")

    def close(self) -> None:
        """Takes the living line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


_COLOURS = {"PASS": "green", "FAIL": "red", "UNKNOWN": "yellow"}
