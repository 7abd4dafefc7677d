"""What must hold of handing events over: everybody gets them, late comers the newest, and a slow reader harms nobody."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from pathlib import Path
from typing import Any

from node.events import Events

from tests.reference.tier import until


async def _read(reader: asyncio.StreamReader, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [json.loads(await reader.readline()) for _ in range(count)]


def test_every_reader_gets_every_event_and_who_comes_late_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "run/events.sock"

    async def body() -> None:
        events = Events("l4", kept=2)
        async with events.listening(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            for number in range(4):
                events.emit("table", str(number))
            before = time.monotonic_ns()
            first, writer = await asyncio.open_unix_connection(path)
            assert [event["detail"] for event in await _read(first, 2)] == ["2", "3"]
            events.emit("healthy", "us-l7-1 for web", source="envoy", t_ns=7)
            events.emit("healthy", 'a "quoted"\nline')
            seven, now = await _read(first, 2)
            assert seven == {"t_ns": 7, "source": "envoy", "what": "healthy", "detail": "us-l7-1 for web"}
            assert (now["source"], now["detail"]) == ("l4", 'a "quoted"\nline')
            assert before <= now["t_ns"] <= time.monotonic_ns()
            writer.close()
        assert not path.exists()

    asyncio.run(body())


def test_a_reader_that_does_not_read_is_cut_off_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"

    async def body() -> None:
        events = Events("l4", kept=1, most_unread=10_000)
        async with events.listening(path):
            slow, slow_writer = await asyncio.open_unix_connection(path, limit=1)
            good, good_writer = await asyncio.open_unix_connection(path)
            await until(lambda: len(events._readers) == 2, "two readers")
            slow_writer.transport.pause_reading()  # type: ignore[attr-defined]
            for number in range(600):
                events.emit("table", f"{number} {'x' * 1000}")
                (event,) = await _read(good, 1)
                assert event["detail"].startswith(f"{number} ")
            await until(lambda: len(events._readers) == 1, "the slow reader's end")
            del slow
            good_writer.close()
            await until(lambda: not events._readers, "the other's parting")
            events.emit("table", "to nobody")

    asyncio.run(body())


def test_what_is_told_is_for_those_who_read_now_and_pushes_no_event_out(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"

    async def body() -> None:
        events = Events("l4", kept=2)
        async with events.listening(path):
            first, first_writer = await asyncio.open_unix_connection(path)
            await until(lambda: len(events._readers) == 1, "a reader")
            events.emit("table", "1")
            events.tell([b'{"what":"drop","count":1}\n', b'{"what":"drop","count":2}\n'])
            events.tell([])
            assert [event["what"] for event in await _read(first, 3)] == ["table", "drop", "drop"]
            late, late_writer = await asyncio.open_unix_connection(path)
            await until(lambda: len(events._readers) == 2, "a late reader")
            events.emit("table", "2")
            assert [event["detail"] for event in await _read(late, 2)] == ["1", "2"]
            first_writer.close()
            late_writer.close()

    asyncio.run(body())
