"""Plain lines where nobody looks; on a terminal the time, colours, and one living line that never stays."""

from __future__ import annotations

import io
import os
import pty
import re

import pytest

from scenarios.telling import Teller

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_without_a_terminal_lines_are_plain_and_nothing_lives() -> None:
    stream = io.StringIO()
    teller = Teller(stream)
    teller.now("kill-l4: control")
    teller.say("kill-l4: PASS: Killed [ap-l4-1] silently")
    teller.close()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  kill-l4: PASS: Killed \[ap-l4-1\] silently\n", stream.getvalue())


def on_a_terminal() -> str:
    """What a terminal was sent for two phases, a line between them, and the end."""
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w", encoding="utf-8", closefd=True) as stream:
            teller = Teller(stream)
            teller.now("kill-l4 on ap-l4-1: control")
            teller.say("kill-l4: PASS: none of [red] flows lost a probe")
            teller.now("kill-l4 on ap-l4-1: heal")
            teller.close()
        sent = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not more:
                break
            sent += more
    finally:
        os.close(ours)
    return sent.decode()


def test_on_a_terminal_a_phase_lives_and_a_verdict_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    sent = on_a_terminal()
    assert "\x1b[32mPASS" in sent, "a verdict has its colour"
    text = ESCAPES.sub("", sent)
    assert "kill-l4 on ap-l4-1: control (since " in text
    assert "none of [red] flows lost a probe" in text
    # the living line is taken away: the cursor is shown again and what was drawn last is erased
    assert sent.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))
