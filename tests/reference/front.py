"""A real Envoy, as an L7 node's bootstrap makes it, before real applications on this host's loopback; no L4, no tunnels."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from l7 import admin
from l7.config import App, Tls
from l7.envoy import HEALTH_PATH, bootstrap
from node.events import Events

from tests.probes import certificates
from tests.reference.tier import l7_config
from topologies.image.cache import cache_root

APPS = 2
REFERENCE = Path(__file__).resolve().parents[2] / "probes/reference"


@dataclass(frozen=True)
class Front:
    """Where Envoy listens, and the applications behind it, by name."""

    port: int
    tls_port: int
    apps: dict[str, subprocess.Popen[bytes]]
    app_ports: dict[str, int]


def _free(count: int) -> list[int]:
    with ExitStack() as held:
        found = []
        for _ in range(count):
            one = held.enter_context(socket.socket(socket.AF_INET6))
            one.bind(("::", 0))
            found.append(one.getsockname()[1])
        return found


def _bootstrap(scratch: Path, port: int, tls_port: int, apps: dict[str, int]) -> Path:
    behind = tuple(App(name, "eu", IPv4Address("127.0.0.1"), at) for name, at in apps.items())
    config = replace(l7_config("eu-l7-1"), port=port, apps=behind, tls=Tls(tls_port, "web.test"))
    made: Any = json.loads(json.dumps(bootstrap(config)))
    made["admin"]["address"]["pipe"]["path"] = str(scratch / "admin")
    check = made["static_resources"]["clusters"][0]["health_checks"][0]
    check["event_logger"][0]["typed_config"]["event_log_path"] = str(scratch / "events")
    path = scratch / "bootstrap.json"
    path.write_text(json.dumps(made))
    return path


@contextmanager
def serving(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Started, not awaited: `healthy` says when it serves. The agent's admin requests go to this Envoy."""
    found = sorted(cache_root().glob("image/*/usr/local/bin/envoy"))
    if not found:
        pytest.skip("the lab image, which holds Envoy, has not been built yet: `./nospof up` builds it")
    shown = certificates.make(scratch).server  # key and certificate in one file
    monkeypatch.setattr("l7.envoy.CERTIFICATE", shown)
    monkeypatch.setattr("l7.envoy.KEY", shown)
    port, tls_port, *ports = _free(2 + APPS)
    apps = {f"eu-app-{number}": at for number, at in enumerate(ports, 1)}
    path = _bootstrap(scratch, port, tls_port, apps)
    argv = [found[-1], "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    environment = {**os.environ, "PYTHONPATH": str(REFERENCE)}
    original = admin.ask

    async def ask(method: str, target: str) -> str:
        return await original(method, target, scratch / "admin")

    for module in ("l7.admin", "l7.agent"):
        monkeypatch.setattr(f"{module}.ask", ask)
    started = {
        name: subprocess.Popen([sys.executable, "-m", "app.app", name, str(at)], env=environment)
        for name, at in apps.items()
    }
    envoy = subprocess.Popen([*argv, "--base-id", str(port)])
    try:
        yield Front(port, tls_port, started, apps)
    finally:
        for process in (envoy, *started.values()):
            process.kill()
            process.wait()


def asked(connection: http.client.HTTPConnection, path: str = "/") -> http.client.HTTPResponse:
    """One whole answer on a connection."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response


def healthy(port: int) -> bool:
    """Whether Envoy serves, as an L4 node asks."""
    try:
        return asked(http.client.HTTPConnection("::1", port, timeout=2), HEALTH_PATH).status == 200
    except OSError:
        return False


def told(events: Events) -> list[tuple[str, str, str]]:
    """(source, what, detail) of what an agent has told."""
    read = [json.loads(line) for line in events._kept]
    return [(event["source"], event["what"], event["detail"]) for event in read]
