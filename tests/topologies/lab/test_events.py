"""What happens in a lab is told as it happens, whoever runs it."""

from __future__ import annotations

import time

import pytest

from tests.topologies.lab.conftest import PAIR, Describe, Up, both_runtimes
from topologies.linux.events import LabEvent, LabEvents

pytestmark = [pytest.mark.lab, both_runtimes]


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
