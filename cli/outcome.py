"""How the commands speak: messages to the terminal's error stream, JSON to its output. Knows no command."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from rich.console import Console

console = Console(stderr=True, highlight=False)


class BadUsage(Exception):
    """What was typed cannot be done; the message says what would be right. Exit code 2."""


class HostFailure(Exception):
    """The host failed us; the message says how. Exit code 3."""


def explain(message: str) -> None:
    """A sentence about what went wrong, on the error stream."""
    console.print(f"nospof: {message}", markup=False, soft_wrap=True)


def stamp() -> Callable[[str], None]:
    """A progress printer whose lines carry the seconds since it was made."""
    began = time.monotonic()

    def say(message: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {message}", soft_wrap=True)

    return say


def print_json(value: object) -> None:
    """One JSON document on the output stream, last. Raises OSError where it cannot be written."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
