"""An agent's Unix socket: one command line in, one JSON object out. It must not know what a command does.

`ask` and `command_line` are the client's side, as l4ctl and l7ctl use them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

DEADLINE_S = 4.9  # the contract gives an action 5 s


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
async def listening(handle: Handler, path: Path) -> AsyncIterator[None]:
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


def ask(command: str, deadline_s: float, path: Path) -> Reply:
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


def command_line(name: str, commands: tuple[str, ...], path: Path) -> int:
    """A whole l4ctl or l7ctl: one command from argv. 0 done; 1 refused, failed or no agent (a sentence on stderr); 2 usage."""
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(f"usage: {name} {'|'.join(commands)}", file=sys.stderr)
        return 2
    try:
        reply = ask(sys.argv[1], DEADLINE_S, path)
    except ControlError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    if sys.argv[1] == "status":
        print(json.dumps(reply.state, indent=1))
    else:
        print(reply.message, file=sys.stdout if reply.ok else sys.stderr)
    return 0 if reply.ok else 1
