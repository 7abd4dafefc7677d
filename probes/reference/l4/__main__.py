"""Runs the agent of an L4 node as a process: arguments, signals, sockets. It must not know what the agent decides.

Run as `python3 -m l4`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from bpf import BpfError
from node.control import listening

from .agent import Agent, say
from .config import CONFIG_PATH, ConfigError, L4Config, read_config
from .dataplane import OBJECT_PATH, DataPlane

SOCKET_PATH = Path("/run/reference/l4.sock")


async def serve(config: L4Config, plane: DataPlane) -> None:
    """Runs the agent until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    agent = Agent(config, plane)
    async with agent.events.listening(), listening(agent.handle, SOCKET_PATH):
        agent.events.emit("started", config.name)
        running = asyncio.create_task(agent.run())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await running  # it never ends by itself: this raises what ended it
        running.cancel()
        await agent.leave()
        agent.close()


def main() -> int:
    """0 after a signal; 1 with one sentence where the node cannot work."""
    parser = argparse.ArgumentParser(prog="l4", description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG_PATH)
    parser.add_argument("--object", type=Path, default=OBJECT_PATH)
    options = parser.parse_args()
    Path("/proc/self/comm").write_text("l4agent")
    try:
        config = read_config(options.config)
        with DataPlane(config, options.object) as plane:
            asyncio.run(serve(config, plane))
    except (ConfigError, BpfError, OSError) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
