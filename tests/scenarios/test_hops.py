"""Stamps of a real lab's links make the way of its packets, hop by hop, and stamping says what it cost."""

from __future__ import annotations

import pytest

from scenarios.hops import cost_of, measured_hops
from tests.probes.conftest import run_for, scratch
from tests.scenarios.test_where_they_died import Bench, bench
from tests.topologies.lab.conftest import describe, runtime, up

__all__ = ["bench", "describe", "runtime", "scratch", "up"]
pytestmark = pytest.mark.lab


def test_every_part_of_the_way_is_there_in_order(bench: Bench) -> None:
    with bench.lab.stamp() as stamping:
        t0, t1 = run_for(2500)
        stamps, cost = stamping.read(), stamping.cost()
    hops = {(h.service, h.transport): h for h in measured_hops(bench.lab, bench.prober.flows, stamps)}
    echo = hops["echo", "udp"]
    assert [p.label for p in echo.parts] == [
        "a → r",
        "r",
        "r → b",
        "b answers",
        "b → r, back",
        "r, back",
        "r → a, back",
    ]
    assert [p.kind for p in echo.parts] == ["link", "node", "link", "answer", "link", "node", "link"]
    assert all(0 < p.p50_us <= p.p99_us for p in echo.parts)
    assert all(40 <= p.n <= 100 for p in echo.parts), "one of 64 probes of each of 20 flows"
    assert [p.at_us for p in echo.parts] == sorted(p.at_us for p in echo.parts)
    told = cost_of(cost, (t1 - t0) / 1e9)
    assert told.lost == 0
    assert told.frames >= 22 * 250 * 8 * 0.9
    assert 0 < told.cores < 1


def test_nothing_is_stamped_before_and_after(bench: Bench) -> None:
    with bench.lab.stamp() as stamping:
        run_for(500)
        assert stamping.read()
    with bench.lab.stamp() as stamping:
        pass
    before = bench.lab.wire.stamp([]).cost().frames
    run_for(200)
    assert bench.lab.wire.stamp([]).cost().frames == before
