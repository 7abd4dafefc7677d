"""The L7 node's agent: owns Envoy and the responder, drains the node, hands its events over. It must not know L4 nodes.

Run as `python3 -m l7.agent`. A drain is Envoy's own: its health check fails, so L4 nodes send no new flows, and each
further response closes its connection by the protocol; datagrams are answered all the while.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from bpf import BpfError
from node.control import Reply, listening
from node.drop_maps import DropMaps, Teller
from node.events import Events

from . import checks
from .admin import AdminError, Load, ask, load
from .attach import REASONS
from .certificate import provide
from .config import CONFIG_PATH, ConfigError, L7Config, read_config
from .envoy import HEALTH_EVENTS, bootstrap
from .program import Program

SOCKET_PATH = Path("/run/reference/l7.sock")
BOOTSTRAP = Path("/run/envoy.json")
ECHO = Path(__file__).with_name("echo")
_ENVOY = ["envoy", "-c", str(BOOTSTRAP), "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]
_FLUSH = ["--file-flush-interval-msec", "250"]  # how late its events may be; each has its own time in it
_READY_S = 20.0
_LOOK_S = 0.1
_QUIET_S = 0.5  # without a connection for so long, while every L4 node asks ten times a second: no more will come
_DRAIN_S = 3.0


class Agent:
    """One node's state: whether it is being drained."""

    def __init__(self, config: L7Config, events: Events) -> None:
        self.config, self.events = config, events
        self.draining = False
        self.programs = [
            Program("envoy", [*_ENVOY, *_FLUSH], events, ready=self._envoy_ready),
            Program("echo", [str(ECHO), "7", config.name], events, hands_over=True),
        ]

    async def _envoy_ready(self) -> None:
        """Returns when Envoy serves; where the node is being drained, only after Envoy knows. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _READY_S
        while True:
            try:
                await ask("GET", "/ready")
                if self.draining:
                    await ask("POST", "/healthcheck/fail")
            except AdminError as error:
                if loop.time() > end:
                    raise TimeoutError(str(error)) from error
            else:
                return
            await asyncio.sleep(_LOOK_S / 2)

    async def handle(self, command: str) -> Reply:
        """One command of l7ctl."""
        actions: dict[str, Callable[[], Awaitable[Reply]]] = {
            "drain": self.drain,
            "undrain": self._undrain,
            "status": self._status,
        }
        try:
            action = actions[command]
        except KeyError:
            return Reply(False, f"'{command}' is not one of {', '.join(actions)}")
        try:
            return await action()
        except AdminError as error:
            return Reply(False, str(error))

    async def drain(self) -> Reply:
        """No new flows, and connections end with their next response; waits for that, but never longer than 3 s: a stream may
        last as long as its client likes."""
        await ask("POST", "/healthcheck/fail")
        self.draining = True
        self.events.emit("draining", self.config.name)
        loop = asyncio.get_running_loop()
        end = loop.time() + _DRAIN_S
        busy, left = loop.time(), Load(0, 0)
        while self.draining and loop.time() < end:
            left = await load()
            if left.connections:
                busy = loop.time()
            elif loop.time() - busy >= _QUIET_S:
                self.events.emit("drained", self.config.name)
                return Reply(True, "drained: no connection is left; datagrams are still answered")
            await asyncio.sleep(_LOOK_S)
        if not self.draining:
            return Reply(False, "the drain was given up: another command undid it")
        return Reply(True, f"draining: no new flows come; {_still_open(left)}")

    async def _undrain(self) -> Reply:
        self.draining = False
        await ask("POST", "/healthcheck/ok")
        self.events.emit("undrained", self.config.name)
        return Reply(True, "takes new flows again")

    async def _status(self) -> Reply:
        state = {
            "name": self.config.name,
            "draining": self.draining,
            "programs": {program.name: program.pid for program in self.programs},
        }
        return Reply(True, "status", state)


def _still_open(left: Load) -> str:
    if not left.requests:
        return f"{left.connections} idle connections are still open, and close with their next response"
    return (
        f"{left.connections} connections are still open, {left.requests} answers on them have not ended; the others close with "
        "their next response"
    )


class HealthPipe:
    """The named pipe that Envoy writes its health checks' verdicts to, as events."""

    def __init__(self, events: Events, path: Path = Path(HEALTH_EVENTS)) -> None:
        self._events, self._rest = events, b""
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        # Open for writing, too: so it stays open between two lives of Envoy.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def read(self) -> None:
        """Hands over what has been written. Real time becomes monotonic by the difference of now."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self._descriptor, 65536)
        *lines, self._rest = self._rest.split(b"\n")
        offset = time.time_ns() - time.monotonic_ns()
        for written in lines:
            seen = checks.parse(written)
            if seen is not None:
                self._events.emit(seen.what, seen.detail, source="envoy", t_ns=seen.t_ns - offset)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Read whenever there is something, while the context lasts."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, self.read)
        try:
            yield
        finally:
            loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


def say(sentence: str) -> None:
    """One line for whoever reads the node's log."""
    print(f"l7.agent: {sentence}", file=sys.stderr, flush=True)


async def _tell_drops(events: Events, interface: str) -> None:
    """Of the program that ends tunnels; it was attached before this agent, and works without it."""
    try:
        maps = DropMaps.of(interface)
    except BpfError as error:
        say(f"drops are not told: {error}")
        return
    await Teller(maps, events, REASONS).run(say)


async def serve(config: L7Config, interface: str) -> None:
    """Runs the agent until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    events = Events("l7")
    agent = Agent(config, events)
    if config.tls is not None:
        provide(config.tls.host)
    BOOTSTRAP.write_text(json.dumps(bootstrap(config)))
    async with events.listening(), listening(agent.handle, SOCKET_PATH):
        with HealthPipe(events).watched():
            running = [asyncio.create_task(program.run()) for program in agent.programs]
            stopped = asyncio.create_task(stop.wait())
            telling = asyncio.create_task(_tell_drops(events, interface))
            await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*running, telling):
                task.cancel()
            ended = await asyncio.gather(*running, telling, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):  # a program that is not there at all
                    raise error


def main() -> int:
    """0 after a signal; 1 with one sentence where the node cannot work."""
    parser = argparse.ArgumentParser(prog="l7.agent", description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG_PATH)
    parser.add_argument(
        "--interface", default="eth1", help="one that the decapsulating program is on: its drops are told"
    )
    options = parser.parse_args()
    Path("/proc/self/comm").write_text("l7agent")
    try:
        asyncio.run(serve(read_config(options.config), options.interface))
    except (ConfigError, OSError) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
