"""Asks Envoy's admin interface over its Unix socket (envoyproxy.io/docs, operations/admin). It must not know why."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from .envoy import ADMIN_SOCKET

_DEADLINE_S = 1.0


class AdminError(Exception):
    """Envoy did not do what it was asked; the message says what and why."""


async def ask(method: str, target: str, path: Path = Path(ADMIN_SOCKET)) -> str:
    """One request, and the body of its answer of 200. Raises AdminError for anything else, and after a second."""
    asked = f"{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    try:
        async with asyncio.timeout(_DEADLINE_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(asked.encode())
                answer = await reader.read()
            finally:
                writer.close()
    except TimeoutError as late:
        raise AdminError(f"envoy had not answered {method} {target} after {_DEADLINE_S:g} s") from late
    except OSError as error:
        raise AdminError(f"envoy cannot be asked at {path}: {error.strerror or error}") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if status.split(" ")[1:2] != ["200"]:
        raise AdminError(f"envoy answered {method} {target} with '{status}'")
    return body.decode(errors="replace")


@dataclass(frozen=True)
class Load:
    """Client connections that are open, and requests on them whose answers are not whole: streams, above all."""

    connections: int
    requests: int


async def load() -> Load:
    """Of every listener, now. Raises AdminError."""
    body = await ask("GET", "/stats?format=json&filter=^http.web.downstream_(cx|rq)_active$")
    text = body[body.find("{") : body.rfind("}") + 1]  # the body may be chunked
    try:
        found = {one["name"]: int(one["value"]) for one in json.loads(text)["stats"]}
        return Load(found["http.web.downstream_cx_active"], found["http.web.downstream_rq_active"])
    except (ValueError, LookupError, TypeError) as error:
        raise AdminError(f"envoy's statistics have no count of connections: {body[:200]!r}") from error
