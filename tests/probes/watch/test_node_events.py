"""A real node hands over its events through its own root, is killed, and is found again when it is back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from probes.watch import TimelineEvent, Watch
from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import Describe, Up

pytestmark = pytest.mark.lab
SOCKET = "run/nospof/events.sock"
SERVICE = f"""\
import json, os, socket, time
os.makedirs("/run/nospof", exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind("/{SOCKET}")
listener.listen()
while True:
    client = listener.accept()[0]
    client.sendall(json.dumps(dict(t_ns=time.monotonic_ns(), source="l4", what="started", detail="")).encode() + b"\\n")
    client.recv(1)
"""


def test_a_node_is_heard_and_heard_again_after_a_kill(
    describe: Describe, up: Up, tmp_path: Path, scratch: Path
) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    node = f'{{cmd: "sh -c \'rm -f /{SOCKET}; exec python3 /service.py\'", binds: ["{tmp_path}/service.py:/service.py:ro"]}}'
    lab = up(
        describe(f"  nodes:\n    n: {node}\n    m: {{}}\n  links:\n    - {{endpoints: [n:eth1, m:eth1], mtu: 1500}}\n")
    )

    def sockets() -> Mapping[str, Path]:
        pid = lab.init_pid("n")
        return {} if pid is None else {"n": Path(f"/proc/{pid}/root/{SOCKET}")}

    with Watch(scratch, {name: lab.netns(name) for name in "nm"}, {}, None, sockets) as watch:

        def started() -> list[TimelineEvent]:
            return [e for e in watch.events(0, time.monotonic_ns()) if e.what == "started"]

        wait_until(lambda: len(started()) == 1, "the node's first event")
        lab.kill(["n"])
        lab.restart(["n"])
        wait_until(lambda: len(started()) == 2, "an event of the restarted node")
        assert {(e.node, e.source) for e in started()} == {("n", "l4")}
        assert watch.alive(), "a kill does not take the listener along"
