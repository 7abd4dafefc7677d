"""What must hold of the L7 agent: programs restarted late, Envoy's verdicts read, and a drain by a real Envoy."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l7 import admin, checks
from l7.agent import Agent, HealthPipe
from l7.envoy import HEALTH_PATH
from l7.program import Program, ending
from node.events import Events

from probes.connections import Security, Target
from probes.connections.asking import ask as ask_once
from probes.connections.speech import Answer
from probes.connections.target import Version
from tests.reference import http2
from tests.reference.conftest import ROOT
from tests.reference.front import Front, asked, healthy, told
from tests.reference.tier import l7_config, until


def test_a_program_that_died_is_started_again_but_not_at_once() -> None:
    async def body() -> None:
        events = Events("l7")
        program = Program("envoy", [sys.executable, "-c", "import sys; sys.exit(3)"], events, restart_s=0.3)
        loop = asyncio.get_running_loop()
        running = loop.create_task(program.run())
        await until(lambda: told(events).count(("envoy", "exited", "exit code 3")) == 2, "two lives")
        ends = [json.loads(line)["t_ns"] for line in events._kept if b"exited" in line]
        assert ends[1] - ends[0] >= 300_000_000
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(body())


def test_a_program_is_ended_with_its_agent_even_where_it_will_not() -> None:
    stubborn = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )

    async def body() -> None:
        events = Events("l7")
        program = Program("envoy", [sys.executable, "-c", stubborn], events)
        running = asyncio.get_running_loop().create_task(program.run())
        await until(lambda: any(what == "started" for _, what, _ in told(events)), "a start")
        pid = program.pid
        assert pid is not None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not Path(f"/proc/{pid}").exists()

    asyncio.run(body())


def test_a_program_that_is_not_there_is_an_error() -> None:
    program = Program("envoy", ["/nonexistent/envoy"], Events("l7"))
    with pytest.raises(FileNotFoundError):
        asyncio.run(program.run())


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (1, "exit code 1"), (-9, "SIGKILL"), (-200, "signal 200")]
)
def test_an_ending_is_told_in_words(code: int, words: str) -> None:
    assert ending(code) == words


WRITTEN = {
    "health_checker_type": "HTTP",
    "host": {"socket_address": {"address": "10.102.1.3", "port_value": 8080}},
    "timestamp": "2026-11-24T06:08:49.815Z",
}


def test_envoys_verdicts_are_read_and_what_is_none_is_left_out() -> None:
    ejected = {**WRITTEN, "eject_unhealthy_event": {"failure_type": "NETWORK_TIMEOUT"}}
    seen = checks.parse(json.dumps(ejected).encode())
    assert seen is not None
    assert (seen.what, seen.detail) == ("unhealthy", "10.102.1.3:8080 NETWORK_TIMEOUT")
    assert seen.t_ns == 1795500529_815_000_000
    back = checks.parse(json.dumps({**WRITTEN, "add_healthy_event": {"first_check": False}}).encode())
    assert back is not None
    assert (back.what, back.detail) == ("healthy", "10.102.1.3:8080")
    assert checks.parse(json.dumps({**WRITTEN, "health_check_failure_event": {}}).encode()) is None
    assert checks.parse(b'{"add_healthy_event": {}}') is None


@given(st.binary(max_size=60) | st.sampled_from([b"[]", b"1", b'"x"', b"null", b'{"host": 1, "timestamp": "x"}']))
def test_no_line_is_too_strange(line: bytes) -> None:
    assert checks.parse(line) is None


def test_what_comes_through_the_pipe_in_pieces_becomes_events_in_monotonic_time(tmp_path: Path) -> None:
    events = Events("l7")
    pipe = HealthPipe(events, tmp_path / "pipe")
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    line = json.dumps({**WRITTEN, "timestamp": f"{now}.000Z", "add_healthy_event": {}}).encode() + b"\n"
    writer = os.open(tmp_path / "pipe", os.O_WRONLY)
    for part in (line[:40], line[40:] + b"nonsense\n"):
        os.write(writer, part)
        pipe.read()
    os.close(writer)
    pipe.read()
    (event,) = (json.loads(kept) for kept in events._kept)
    assert (event["source"], event["what"]) == ("envoy", "healthy")
    assert abs(time.monotonic_ns() - event["t_ns"]) < 60_000_000_000
    os.close(pipe._descriptor)


def test_a_drained_envoy_says_so_closes_by_the_protocol_and_fails_no_request(envoy: int) -> None:
    async def body() -> None:
        agent = Agent(l7_config("eu-l7-1"), Events("l7"))
        await until(lambda: healthy(envoy), "a healthy Envoy", 20)
        kept = http.client.HTTPConnection("127.0.0.1", envoy, timeout=5)
        assert asked(kept).getheader("connection") is None
        drain = asyncio.create_task(agent.handle("drain"))
        await until(lambda: ("l7", "draining", "eu-l7-1") in told(agent.events), "the drain's begin")
        check = await asyncio.to_thread(asked, http.client.HTTPConnection("::1", envoy, timeout=5), HEALTH_PATH)
        assert (check.status, check.getheader("x-envoy-immediate-health-check-fail")) == (503, "true")
        last = await asyncio.to_thread(asked, kept)
        assert (last.status, last.getheader("connection"), last.getheader("x-backend")) == (200, "close", "eu-l7-1")
        fresh = await asyncio.to_thread(asked, http.client.HTTPConnection("127.0.0.1", envoy, timeout=5))
        assert fresh.status == 200
        kept.close()
        reply = await drain
        assert reply.ok
        assert reply.message.startswith("drained")
        assert (await agent.handle("undrain")).ok
        assert healthy(envoy)
        assert asked(http.client.HTTPConnection("127.0.0.1", envoy, timeout=5)).getheader("connection") is None

    asyncio.run(body())


def test_a_drained_envoy_ends_http2_by_goaway_after_a_whole_answer(envoy: int) -> None:
    async def body() -> None:
        agent = Agent(l7_config("eu-l7-1"), Events("l7"))
        await until(lambda: healthy(envoy), "a healthy Envoy", 20)
        client = http2.Client(envoy)
        before = await asyncio.to_thread(client.get, b"web.test")
        drain = asyncio.create_task(agent.handle("drain"))
        await until(lambda: ("l7", "draining", "eu-l7-1") in told(agent.events), "the drain's begin")
        last = await asyncio.to_thread(client.get, b"web.test")
        ending = await asyncio.to_thread(client.rest)
        client.close()
        for frames in (before, last):
            (answer,) = (frame for frame in frames if frame.kind == http2.HEADERS)
            assert answer.payload[0] == http2.STATUS_200
        assert http2.GOAWAY not in {frame.kind for frame in before}
        goaways = [frame for frame in (*last, *ending) if frame.kind == http2.GOAWAY]
        assert goaways
        assert goaways[-1].payload == bytes([0, 0, 0, 3, 0, 0, 0, 0]), "the second stream was the last; no error"
        assert (await drain).message.startswith("drained")

    asyncio.run(body())


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_envoy_speaks_either_version_by_tls_and_in_the_clear(
    front: Front, tmp_path: Path, host: str, version: Version
) -> None:
    asyncio.run(until(lambda: healthy(front.port), "a healthy Envoy", 20))
    for port, security in ((front.port, None), (front.tls_port, Security(str(tmp_path / "ca.pem")))):
        target = Target("", host, port, "web.test", http=version, tls=security)
        assert ask_once(target, 5.0)[0] == Answer(200, "eu-l7-1")


def test_a_drain_with_an_idle_connection_says_so_in_time(envoy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l7.agent._DRAIN_S", 0.5)

    async def body() -> None:
        agent = Agent(l7_config("eu-l7-1"), Events("l7"))
        await until(lambda: healthy(envoy), "a healthy Envoy", 20)
        idle = http.client.HTTPConnection("127.0.0.1", envoy, timeout=5)
        await asyncio.to_thread(asked, idle)
        reply = await agent.handle("drain")
        assert reply.ok
        assert "1 idle connections are still open" in reply.message
        idle.close()

    asyncio.run(body())


def test_without_envoy_a_drain_fails_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(method: str, target: str) -> str:
        return await admin.ask(method, target, tmp_path / "nobody")

    monkeypatch.setattr("l7.agent.ask", ask)

    async def body() -> None:
        agent = Agent(l7_config("eu-l7-1"), Events("l7"))
        reply = await agent.handle("drain")
        assert not reply.ok
        assert "envoy cannot be asked" in reply.message
        assert not agent.draining
        assert "drain, undrain, status" in (await agent.handle("dance")).message

    asyncio.run(body())


def test_l7ctl_without_an_agent_fails_with_a_sentence() -> None:
    if Path("/run/reference/l7.sock").exists():
        pytest.skip("an L7 agent runs on this very host")
    script = str(ROOT / "probes/reference/l7/l7ctl")
    done = subprocess.run(
        [shutil.which("python3") or sys.executable, script, "drain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("l7ctl: no agent answers")
    assert subprocess.run([sys.executable, script], capture_output=True, check=False).returncode == 2
