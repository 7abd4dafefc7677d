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


def checker(port: int, changes: list[bool | None]) -> Checker:
    service = Service("web", (HERE,), port, "tcp", Check("http", "/", "web.test"))
    made = Checker(service, Backend("eu-l7-1", HERE), TIMING, HERE, lambda one: changes.append(one.health.up))
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
