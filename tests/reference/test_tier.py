"""What must hold of L4 and L7 together, on real links: forwarding, direct answers, health, drains."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from bpf import attached_xdp
from l4.agent import Agent
from l4.announce import Drain, Mode
from l4.config import L4Config
from l4.dataplane import DataPlane
from node.control import ControlError, ask, listening

from tests.reference.tier import L7, VIPS, VIPS6, Tier, running, tier, until

QUICK = Drain(0, quiet_ns=100_000_000, deadline_ns=400_000_000)


@pytest.fixture
def two_links(config: L4Config) -> L4Config:
    return replace(config, interfaces=("eth1", "eth2"))


@pytest.fixture
def built(decap_object: Path, echo_program: Path, tmp_path: Path) -> Iterator[Tier]:
    with tier(decap_object, echo_program, tmp_path) as made, made.network.entered("l4"):
        yield made


def everybody(agent: Agent) -> bool:
    return all(checker.health.up for checker in agent.checkers)


def announced(built: Tier) -> str:
    """The last thing that bgpd was told about the echo service."""
    lines = [line for line in built.told.read_text().splitlines() if VIPS[1] in line]
    return next(part for part in lines[-1].split(" -c ")[::-1] if VIPS[1] in part) if lines else ""


def test_packets_reach_every_backend_and_answers_come_straight_back(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    patient = replace(two_links, timing=replace(two_links.timing, timeout_s=5))

    async def body() -> None:
        async with running(built, patient, balance_object) as agent:
            await until(lambda: everybody(agent) and f"network {VIPS[1]}/32" in announced(built), "an announcement")
            names = await asyncio.to_thread(built.ask)
            assert set(names) == set(L7)
            assert set(await asyncio.to_thread(built.ask, bytes(1465))) == set(L7), "answers of 1500 bytes"
            assert b"200 OK" in await asyncio.to_thread(built.get)
            assert set(await asyncio.to_thread(built.ask6)) == set(L7)
            assert set(await asyncio.to_thread(built.ask6, bytes(1445))) == set(L7), "answers of 1500 bytes"
            for vip in (*VIPS, *VIPS6):
                assert await asyncio.to_thread(built.ping, vip), vip
            counters = agent.plane.counters()
            assert counters["pings"] == 4
            assert counters["forwarded"] == counters["received"] > 48

    asyncio.run(body())


def test_a_dead_backend_gets_no_packets_and_a_service_without_any_is_withdrawn(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            built.served["eu-l7-1", "echo"].kill()
            down = {(c.service.name, c.backend.name): c for c in agent.checkers}["echo", "eu-l7-1"]
            await until(lambda: down.health.up is False, "a verdict about the dead backend")
            await until(lambda: agent.healthy.get("echo") == {"eu-l7-2"}, "a new table")
            assert set(await asyncio.to_thread(built.ask)) == {"eu-l7-2"}
            assert "VIP-NORMAL" in announced(built)
            built.served["eu-l7-2", "echo"].kill()
            await until(lambda: announced(built) == f"no network {VIPS[1]}/32", "a withdrawal")

    asyncio.run(body())


def test_a_backend_without_a_route_is_out_of_every_ring_before_any_check_can_fail(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    patient = replace(two_links, timing=replace(two_links.timing, timeout_s=60, fall=1000))

    async def body() -> None:
        async with running(built, patient, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            built.network.ip("l4", "route del 10.2.4.1")
            await until(lambda: all(agent.healthy[name] == {"eu-l7-2"} for name in ("web", "echo")), "a new table")
            assert set(await asyncio.to_thread(built.ask)) == {"eu-l7-2"}
            built.network.ip("l4", "route add 10.2.4.1 via 10.0.1.1")
            await until(lambda: everybody(agent) and len(agent.healthy["web"]) == 2, "the backend's return")

    asyncio.run(body())


def test_a_node_that_is_cut_off_itself_changes_nothing(built: Tier, two_links: L4Config, balance_object: Path) -> None:
    around = replace(two_links, uplinks=(IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")))
    built.network.ip("l4", "route add 10.9.0.1 via 10.0.1.1", "route add 10.9.0.2 via 10.0.2.1")

    async def body() -> None:
        async with running(built, around, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            built.network.ip("l4", "route del 10.9.0.1", "route del 10.9.0.2")
            await until(lambda: agent.isolated, "its isolation")
            built.network.ip("l4", "route del 10.2.4.1", "route del 10.2.4.2")
            backends = [backend.address for backend in around.backends]
            await until(lambda: not any(agent.routes.routed(address) for address in backends), "the loss of all routes")
            await agent.reconcile()
            assert agent.healthy["web"] == set(L7)
            assert "VIP-NORMAL" in announced(built)
            built.network.ip("l4", "route add 10.9.0.1 via 10.0.1.1")
            await until(lambda: announced(built).startswith("no network"), "a withdrawal once its word counts again")

    asyncio.run(body())


def test_a_route_that_goes_with_its_link_is_noticed(built: Tier, two_links: L4Config, balance_object: Path) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as agent:
            await until(lambda: everybody(agent), "healthy backends")
            built.network.ip("l4", "link set eth2 down")
            await until(lambda: not agent.routes.routed(agent.config.backends[1].address), "the loss of the route")
            await until(lambda: agent.healthy["web"] == {"eu-l7-1"}, "a new table")

    asyncio.run(body())


def test_a_drain_without_traffic_withdraws_after_the_quiet_time(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            reply = await agent.drain(QUICK)
            assert reply.ok
            assert reply.message.startswith("drained")
            told = [line for line in built.told.read_text().splitlines() if VIPS[1] in line]
            assert [("DRAIN" in line, "no network" in line) for line in told[-2:]] == [(True, False), (False, True)]
            assert agent.drained
            assert (await agent.drain(QUICK)).ok
            assert "no network" in announced(built), "a second drain must not announce anything again"
            assert set(await asyncio.to_thread(built.ask)) == set(L7), "a drained node still forwards"
            assert (await agent.handle("undrain")).ok
            assert announced(built).endswith("VIP-NORMAL")
            assert not agent.drained

    asyncio.run(body())


def test_a_drain_with_endless_traffic_says_so_and_withdraws(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            drain = asyncio.create_task(agent.drain(QUICK))
            names: list[str] = []
            while not drain.done():
                names += await asyncio.to_thread(built.ask, count=4)
            assert set(names) == set(L7)
            assert drain.result().ok
            assert "still came" in drain.result().message
            assert not agent.drained
            assert announced(built).endswith(f"no network {VIPS[1]}/32")

    asyncio.run(body())


def test_another_command_ends_a_drain(built: Tier, two_links: L4Config, balance_object: Path) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            drain = asyncio.create_task(agent.drain(Drain(0)))
            await until(lambda: "VIP-DRAIN" in announced(built), "a de-preferred announcement")
            assert (await agent.handle("announce")).ok
            assert not (await drain).ok
            assert agent.mode is Mode.NORMAL
            assert announced(built).endswith("VIP-NORMAL")

    asyncio.run(body())


def test_a_restarted_bgpd_is_told_again(built: Tier, two_links: L4Config, balance_object: Path) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as agent:
            await until(lambda: everybody(agent) and "VIP-NORMAL" in announced(built), "an announcement")
            vty = built.told.with_name("bgpd.vty")
            vty.unlink()
            built.told.write_text("")
            vty.touch()
            await until(lambda: "VIP-NORMAL" in announced(built), "an announcement to the new bgpd")

    asyncio.run(body())


def test_a_new_agent_replaces_the_old_ones_program_only_when_its_tables_are_full(
    built: Tier, two_links: L4Config, balance_object: Path
) -> None:
    async def body() -> None:
        async with running(built, two_links, balance_object) as first:
            await until(lambda: everybody(first) and "VIP-NORMAL" in announced(built), "an announcement")
        index = socket.if_nametoindex("eth1")
        old = attached_xdp(index)
        assert old
        async with running(built, two_links, balance_object) as second:
            while attached_xdp(index) == old:
                assert "" not in await asyncio.to_thread(built.ask, count=1)
            assert everybody(second)
            assert set(await asyncio.to_thread(built.ask)) == set(L7)
            await second.leave()
            assert attached_xdp(index) == 0

    asyncio.run(body())


def test_an_unknown_neighbour_costs_no_packet(built: Tier, two_links: L4Config, balance_object: Path) -> None:
    for interface in ("eth1", "eth2"):
        built.network.sysctl("l4", f"ipv4/conf/{interface}/accept_local", "1")
    everyone = frozenset(L7)
    with DataPlane(two_links, balance_object) as plane:
        plane.serve({"web": everyone, "echo": everyone})
        assert plane.attach()
        built.network.ip("l4", "neighbour flush dev eth1", "neighbour flush dev eth2")
        assert set(built.ask()) == set(L7)
        assert plane.counters()["to_stack"] > 0


def test_the_control_socket_answers_and_its_absence_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "l4.sock"

    async def body() -> None:
        async with listening(Agent.handle.__get__(object.__new__(Agent)), path):
            reply = await asyncio.to_thread(ask, "dance", 2, path)
            assert not reply.ok
            assert "drain, undrain, announce, withdraw, status" in reply.message

    asyncio.run(body())
    with pytest.raises(ControlError, match="no agent answers"):
        ask("status", 1, path)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
