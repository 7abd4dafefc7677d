"""What happens in a lab is told as it happens, whoever runs it."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.topologies.lab.conftest import PAIR, Describe, Up, both_runtimes
from topologies.linux.events import LabEvent, LabEvents

pytestmark = [pytest.mark.lab, both_runtimes]
ROOT = Path(__file__).resolve().parents[3]


def _until(events: LabEvents, wanted: set[tuple[str, ...]]) -> list[LabEvent]:
    """Reads until all of these were told; fails at the deadline, naming those that were not."""
    seen: list[LabEvent] = []
    end = time.monotonic() + 10
    while left := wanted - {_short(e) for e in seen}:
        assert time.monotonic() < end, f"not told: {left}; told: {[_short(e) for e in seen]}"
        seen += events.read(1)
    return seen


def _short(event: LabEvent) -> tuple[str, ...]:
    if event.type == "container":
        return event.node, event.action
    return event.node, event.action, event.attributes["ifname"], event.attributes["state"]


def test_the_command_tells_them_with_containerlab_s_keys(describe: Describe, up: Up) -> None:
    lab = up(describe(PAIR))
    command = [sys.executable, "-m", "cli", "events", lab.topology.name, "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        # it says nothing of its own: until it listens, the same is done again
        while not select.select([following.stdout], [], [], 0.5)[0]:
            lab.drop_carrier(lab.topology.links[0])
            lab.raise_carrier(lab.topology.links[0])
        told = json.loads(following.stdout.readline())
        following.terminate()
    assert set(told) == {"timestamp", "type", "action", "actor_id", "actor_name", "actor_full_id", "attributes", "t_ns"}
    assert (told["type"], told["attributes"]["ifname"]) == ("interface", "eth1")
    assert told["attributes"]["lab"] == lab.topology.name
    assert told["actor_name"] in {f"clab-{lab.topology.name}-{node}" for node in "ab"}


def test_interfaces_and_nodes_tell_what_they_do(describe: Describe, up: Up) -> None:
    lab = up(describe(PAIR))
    (link,) = lab.topology.links
    with LabEvents(lab) as events:
        assert events.read(0) == [], "what is there already is no news"
        before = time.monotonic_ns()
        lab.drop_carrier(link)
        told = _until(events, {("b", "update", "eth1", "down"), ("a", "update", "eth1", "down")})
        assert all(before < e.t_ns < time.monotonic_ns() for e in told)
        lab.raise_carrier(link)
        _until(events, {("a", "update", "eth1", "up"), ("b", "update", "eth1", "up")})
        lab.kill(["b"])
        _until(events, {("b", "die")})
        lab.restart(["b"])
        _until(events, {("b", "start")})
        lab.exec("b", ["ip", "link", "add", "name", "extra", "type", "bridge"])
        _until(events, {("b", "create", "extra", "down")})
        lab.exec("b", ["ip", "link", "del", "extra"])
        _until(events, {("b", "delete", "extra", "down")})
