"""`python -m probes.connections PLAN`: the connecting process. Knows its plan and nothing of who reads its log.

It does what it is told on its standard input, and ends on SIGTERM, or when whoever holds that is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from probes.connections.client import Plan, serve


async def main(plan: Plan) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(plan, stop, lambda: print("open", flush=True), told=0)


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
    os._exit(0)  # the sockets reset on close; nobody is left to say goodbye to
