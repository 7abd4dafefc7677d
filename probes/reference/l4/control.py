"""The agent's Unix socket: one command line in, one JSON object out. It must not know what a command does.

`ask` is the client's side, as l4ctl uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SOCKET_PATH = Path("/run/reference/l4.sock")


class ControlError(Exception):
    """The agent could not be asked; the message says why."""


@dataclass(frozen=True)
class Reply:
    """Whether it was done, a sentence, and for `status` the node's state."""

    ok: bool
    message: str
    state: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[str], Awaitable[Reply]]


@contextlib.asynccontextmanager
async def listening(handle: Handler, path: Path = SOCKET_PATH) -> AsyncIterator[None]:
    """Answers commands while the context lasts; the socket is root's alone."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            line = await reader.readline()
            reply = await handle(line.decode(errors="replace").strip())
            writer.write(json.dumps(asdict(reply)).encode() + b"\n")
            await writer.drain()
        writer.close()

    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(client, path)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def ask(command: str, deadline_s: float, path: Path = SOCKET_PATH) -> Reply:
    """Sends one command and waits for its reply. Raises ControlError when there is no agent or no reply in time."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(deadline_s)
        try:
            agent.connect(str(path))
            agent.sendall(command.encode() + b"\n")
            with agent.makefile("rb") as answer:
                return Reply(**json.loads(answer.readline()))
        except TimeoutError as error:
            raise ControlError(f"the agent had not answered '{command}' after {deadline_s:g} s") from error
        except (OSError, ValueError) as error:
            raise ControlError(f"no agent answers at {path}: {error}") from error
