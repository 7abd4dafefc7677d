"""What the heal costs is told whole, though not all of it is judged."""

from __future__ import annotations

from probes.connections import ConnectionRecord
from scenarios.measured import Clock, Measured, classify_connection

CLOCK = Clock(control_ns=100, event_ns=200, heal_ns=300, end_ns=400)


def test_a_connection_opened_during_the_fault_and_broken_by_the_heal_is_counted_but_not_judged() -> None:
    record = ConnectionRecord("eu", 0, 1, "10.0.0.1", 24000, "203.0.113.10", 80, 250, broken_ns=350, broken_by="reset")
    found = classify_connection(record, CLOCK, touched=False, own=False)
    assert found is not None
    measured = Measured(10_000_000, (), (found,))
    assert measured.reversion_broken == 1
    assert measured.broken(phase="recovery") == []
    assert measured.strays == []
