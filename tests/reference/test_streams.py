"""What must hold of answers without an end, by a real Envoy before a real application: they last, also through a drain."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import re
import signal
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from l7 import admin
from l7.agent import Agent
from node.events import Events

from tests.reference import http2
from tests.reference.front import Front, asked, healthy, told
from tests.reference.tier import l7_config, until

ROUTE_TIMEOUT_S = 5.0
"""Of every answer but a stream's."""


def ready(front: Front) -> None:
    asyncio.run(until(lambda: healthy(front.port), "a healthy Envoy", 20))


def opened(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request("GET", "/stream")
    return connection.getresponse()


def clear(front: Front, _: Path) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", front.port, timeout=5)


def secure(front: Front, scratch: Path) -> http.client.HTTPConnection:
    context = ssl.create_default_context(cafile=str(scratch / "ca.pem"))
    context.check_hostname = False  # it is asked by its address
    return http.client.HTTPSConnection("127.0.0.1", front.tls_port, timeout=5, context=context)


@pytest.mark.parametrize("connect", [clear, secure])
def test_a_stream_names_its_backend_and_outlasts_every_timeout_of_other_answers(
    front: Front, tmp_path: Path, connect: Callable[[Front, Path], http.client.HTTPConnection]
) -> None:
    ready(front)
    connection = connect(front, tmp_path)
    began = time.monotonic()
    stream = opened(connection)
    assert (stream.status, stream.getheader("x-backend")) == (200, "eu-l7-1")
    origin = stream.getheader("x-origin")
    assert stream.getheader("content-length") is None
    lines = [stream.readline()]
    gaps = [began]
    while time.monotonic() < began + ROUTE_TIMEOUT_S + 0.5:
        lines.append(stream.readline())
        gaps.append(time.monotonic())
    assert lines == [f"{origin} {number}\n".encode() for number in range(1, len(lines) + 1)], "each once, in order"
    assert len(lines) > 8, "two a second"
    assert max(b - a for a, b in itertools.pairwise(gaps)) < 2
    connection.close()


def test_another_answer_has_its_length(front: Front) -> None:
    ready(front)
    answer = asked(http.client.HTTPConnection("127.0.0.1", front.port, timeout=5))
    assert answer.getheader("content-length") == "9"
    assert answer.getheader("x-backend") == "eu-l7-1"


def test_a_stream_that_its_client_left_costs_the_application_nothing_more(front: Front) -> None:
    ready(front)
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=5)
    stream = opened(connection)
    pid = front.apps[str(stream.getheader("x-origin"))].pid

    def sockets() -> int:
        return sum(str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{pid}/fd").iterdir())

    held = sockets()
    stream.close()
    connection.close()
    asyncio.run(until(lambda: sockets() < held, "the end of the stream at the application"))


def test_a_drain_is_over_in_time_and_leaves_streams_where_they_are(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l7.agent._DRAIN_S", 0.7)
    ready(front)

    async def body() -> None:
        agent = Agent(l7_config("eu-l7-1"), Events("l7"))
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=5)
        stream = await asyncio.to_thread(opened, connection)
        reply = await agent.handle("drain")
        assert reply.ok
        assert "1 answers on them have not ended" in reply.message
        assert (await agent.handle("undrain")).ok
        for _ in range(8):
            assert (await asyncio.to_thread(stream.readline)).endswith(b"\n")
        connection.close()

    asyncio.run(body())


def test_a_drain_tells_a_client_of_http2_to_go_and_lets_its_stream_go_on(front: Front) -> None:
    ready(front)

    async def body() -> None:
        agent = Agent(l7_config("eu-l7-1"), Events("l7"))
        client = http2.Client(front.port)
        stream = client.ask(b"web.test", b"/stream")
        drain = asyncio.create_task(agent.handle("drain"))
        await until(lambda: ("l7", "draining", "eu-l7-1") in told(agent.events), "the drain's begin")
        frames = await asyncio.to_thread(client.get, b"web.test")
        while not any(frame.kind == http2.GOAWAY for frame in frames):
            frame = await asyncio.to_thread(client.receive)
            assert frame is not None, "closed without a GOAWAY"
            frames.append(frame)
        lines = 0
        while lines < 5:
            frame = await asyncio.to_thread(client.receive)
            assert frame is not None, "closed while a stream was on it"
            lines += frame.stream == stream and frame.kind == http2.DATA
        assert (await drain).ok
        client.close()

    asyncio.run(body())


def test_a_frozen_application_costs_a_request_one_try_and_soon_nothing(front: Front) -> None:
    ready(front)
    for name in ("eu-app-1", "eu-app-2"):
        asyncio.run(until(lambda name=name: _answers(front, name), name))  # type: ignore[misc]
    port = front.app_ports["eu-app-1"]
    before = asyncio.run(_tried(port))
    front.apps["eu-app-1"].send_signal(signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(40):
        answer = asked(http.client.HTTPConnection("127.0.0.1", front.port, timeout=5))
        assert (answer.status, answer.getheader("x-origin")) == (200, "eu-app-2")
        assert asyncio.run(_tried(port)) - before <= _tries_within(time.monotonic() - began)
    assert asyncio.run(_tried(port)) > before, "nobody tried the frozen one: nothing was shown"


def _tries_within(seconds: float) -> int:
    """Two, and one that began before Envoy's worker heard of them, each time that the ejection of two seconds is over.

    Envoy counts them: how long a request takes is the host's CPUs' as well.
    """
    return 3 * (1 + int(seconds / 2))


async def _tried(port: int) -> int:
    """Requests that Envoy has sent to an application, other than its checks."""
    counts = re.findall(rf"127\.0\.0\.1:{port}::rq_total::(\d+)", await admin.ask("GET", "/clusters"))
    assert len(counts) == 1, f"Envoy knows no application at {port}"
    return int(counts[0])


def _answers(front: Front, name: str) -> bool:
    answer = asked(http.client.HTTPConnection("127.0.0.1", front.port, timeout=5))
    return answer.getheader("x-origin") == name
