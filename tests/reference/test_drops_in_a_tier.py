"""What must hold of drops of a node at work: they reach whoever reads its events, and a flood of them harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from l4.agent import Agent
from l4.config import L4Config
from node.drops import MOST_FLOWS

from reports.evidence.handed import Drop, Flow, decode
from tests.reference.tier import L7, VIPS, Tier, running, tier, until

FLOOD = f"""
import socket, struct
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
while True:
    for port in range(1024, 65536):
        raw.sendto(struct.pack("!HHHH", port, 81, 8, 0), ("{VIPS[1]}", 0))
"""


@pytest.fixture
def built(decap_object: Path, echo_program: Path, tmp_path: Path) -> Iterator[Tier]:
    with tier(decap_object, echo_program, tmp_path) as made, made.network.entered("l4"):
        yield made


@pytest.fixture
def patient(config: L4Config) -> L4Config:
    """A node of two links that a busy host cannot make unhealthy."""
    timing = replace(config.timing, timeout_s=30, fall=1000)
    return replace(config, interfaces=("eth1", "eth2"), timing=timing)


class Heard:
    """What a reader of the node's events was told of drops."""

    def __init__(self) -> None:
        self.drops: list[Drop] = []

    @property
    def count(self) -> int:
        """Packets."""
        return sum(drop.count for drop in self.drops)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            told = decode(line)
            if isinstance(told, Drop):
                self.drops.append(told)

    @contextlib.asynccontextmanager
    async def listening(self, agent: Agent, path: Path) -> AsyncIterator[None]:
        async with agent.events.listening(path):
            reader, writer = await asyncio.open_unix_connection(path)
            task = asyncio.create_task(self._read(reader))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                writer.close()


def dropped(agent: Agent) -> int:
    return sum(count for name, count in agent.plane.counters().items() if name.startswith("drop_"))


def forwarding(agent: Agent) -> bool:
    return all(agent.healthy.get(name) == set(L7) for name in ("web", "echo")) and agent.plane.attached()


def test_a_client_that_asks_in_vain_is_told_of_and_one_that_is_answered_is_not(
    built: Tier, patient: L4Config, balance_object: Path, tmp_path: Path
) -> None:
    async def body() -> None:
        heard = Heard()
        async with running(built, patient, balance_object) as agent, heard.listening(agent, tmp_path / "events.sock"):
            await until(lambda: forwarding(agent), "a full table")
            assert "" not in await asyncio.to_thread(built.ask, timeout_s=10.0)
            assert b"200 OK" in await asyncio.to_thread(built.get)
            with built.network.socket("client", socket.SOCK_DGRAM) as asking:
                before = time.monotonic_ns()
                asking.connect((VIPS[1], 81))
                for _ in range(5):
                    asking.send(b"nobody listens here")
                client, port = asking.getsockname()
                await until(lambda: heard.count == 5, "five drops")
            flow = Flow(client, port, VIPS[1], 81, socket.IPPROTO_UDP)
            assert {(drop.reason, drop.flow) for drop in heard.drops} == {("not_served", flow)}
            assert all(before <= drop.first_ns <= drop.last_ns <= drop.t_ns for drop in heard.drops)
            assert dropped(agent) == 5, "what is answered is neither dropped nor told"

    asyncio.run(body())


def test_a_flood_starves_neither_agent_nor_reader_and_is_counted_to_the_last_packet(
    built: Tier, config: L4Config, balance_object: Path, tmp_path: Path
) -> None:
    two_links = replace(config, interfaces=("eth1", "eth2"), timing=replace(config.timing, timeout_s=5))

    async def body() -> None:
        heard = Heard()
        async with running(built, two_links, balance_object) as agent, heard.listening(agent, tmp_path / "events.sock"):
            await until(lambda: forwarding(agent), "a full table")
            flood = built.network.start("client", sys.executable, "-c", FLOOD)
            try:
                await until(lambda: len({drop.t_ns for drop in heard.drops}) >= 5, "five turns", 30)
                built.served["eu-l7-1", "echo"].kill()
                await until(lambda: agent.healthy["echo"] == {"eu-l7-2"}, "a decision in the midst of the flood", 30)
            finally:
                flood.kill()
                flood.wait()
            await until(lambda: heard.count == dropped(agent), "the rest of the drops", 30)
            turns = Counter(drop.t_ns for drop in heard.drops if drop.flow is not None)
            assert max(turns.values()) <= MOST_FLOWS
            assert any(drop.flow is None for drop in heard.drops), "more flows than are named"
            assert len(agent.events._readers) == 1, "the reader kept up"

    asyncio.run(body())
