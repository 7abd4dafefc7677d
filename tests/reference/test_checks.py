"""What must hold of one check on a real socket: silence counts, and a checker that had no CPU itself has found nothing."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from l4.config import Backend, Check, Service, Timing
from l4.health import Checker, Health, Result

TIMING = Timing(interval_s=0.05, timeout_s=0.1, fall=2, rise=1)
HERE = IPv4Address("127.0.0.1")


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that is frozen: its kernel accepts, and nobody answers."""
    with socket.create_server((str(HERE), 0)) as listening:
        yield listening.getsockname()[1]


def checker(port: int, changes: list[bool | None], timing: Timing = TIMING) -> Checker:
    service = Service("web", (HERE,), port, "tcp", Check("http", "/", "web.test"))
    made = Checker(service, Backend("eu-l7-1", HERE), timing, HERE, lambda one: changes.append(one.health.up))
    made.health = Health(True)
    return made


def test_who_accepts_and_never_answers_is_silent_and_down_after_two_checks(mute: int) -> None:
    changes: list[bool | None] = []

    async def body() -> None:
        asking = checker(mute, changes)
        assert await asking._ask() is Result.SILENT
        assert not changes
        assert await asking._ask() is Result.SILENT

    asyncio.run(body())
    assert changes == [False]


def test_a_checker_that_had_no_cpu_itself_has_found_nothing(mute: int) -> None:
    changes: list[bool | None] = []

    async def body() -> None:
        asking = checker(mute, changes)
        for _ in range(3):
            check = asyncio.create_task(asking._ask())
            await asyncio.sleep(0.02)  # it is under way
            time.sleep(0.2)  # as a process that is not scheduled
            assert await check is None
        assert asking.health == Health(True)

    asyncio.run(body())
    assert not changes


class Deaf:
    """A backend behind so many dead paths: the first connections are never answered, all further ones at once."""

    def __init__(self, unanswered: int) -> None:
        self.left = unanswered

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.left -= 1
        if self.left < 0:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
        else:
            await reader.read()
        writer.close()


AGAIN = Timing(interval_s=0.05, timeout_s=0.15, fall=4, rise=1, again=3)


@pytest.mark.parametrize(("unanswered", "changes"), [(3, []), (4, [False])])
def test_a_failure_is_asked_about_again_at_once_and_a_single_answer_is_enough(
    unanswered: int, changes: list[bool | None]
) -> None:
    seen: list[bool | None] = []

    async def body() -> None:
        server = await asyncio.start_server(Deaf(unanswered).client, str(HERE), 0)
        asking = checker(server.sockets[0].getsockname()[1], seen, AGAIN)
        await asking.once()
        assert asking.health.up is (not changes)
        server.close()

    asyncio.run(body())
    assert seen == changes


def test_an_answer_makes_old_news_of_every_check_that_is_under_way() -> None:
    seen: list[bool | None] = []

    async def body() -> None:
        server = await asyncio.start_server(Deaf(3).client, str(HERE), 0)
        asking = checker(server.sockets[0].getsockname()[1], seen, TIMING)
        deaf = [asyncio.create_task(asking._ask()) for _ in range(3)]
        await asyncio.sleep(0.02)  # they are under way
        assert await asking._ask() is Result.WELL
        assert await asyncio.gather(*deaf) == [None] * 3
        server.close()

    asyncio.run(body())
    assert not seen
