"""When everything that a fault touched was whole again by itself: probes, new connections and long-lived ones. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from probes.connections import ConnectionRecord
from scenarios.measured import Measured


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long after the event all was whole, in ns. `censored`: something was not before the heal, and until then is how long it took
    at least."""

    after_ns: int
    censored: bool


def recovery(measured: Measured) -> Recovery | None:
    """None without a touched flow."""
    clock = measured.clock
    if clock is None or not measured.touched:
        return None
    event, heal = clock.event_ns, clock.heal_ns
    filled = _refilled(measured, heal)
    still = any(f.fault.censored for f in measured.touched) or measured.new_fail_censored(touched=True)
    if still or any(t >= heal for t in filled):
        return Recovery(heal - event, censored=True)
    tried = [p.start_ns + p.length_ns - event for a in measured.attempts for p in a.fault.periods]
    return Recovery(max([measured.full_convergence_ns or 0, *tried, *(t - event for t in filled)]), censored=False)


def _refilled(measured: Measured, heal_ns: int) -> list[int]:
    """When each place whose connection broke was served again, at the heal at the latest.

    That a connection was opened says nothing yet: the kernel of a frozen node accepts it. What counts is its first answer.
    """
    lost = {(c.record.vantage, c.record.id): c.record.broken_ns for c in measured.broken() if c.record.broken_ns}
    filled = dict.fromkeys(lost, heal_ns)
    for c in measured.connections:
        place, served = (c.record.vantage, c.record.id), _served_ns(c.record)
        if place in lost and served is not None and lost[place] <= c.record.opened_ns:
            filled[place] = min(filled[place], served)
    return list(filled.values())


def _served_ns(record: ConnectionRecord) -> int | None:
    """When this connection first answered; None if it never did. It is asked as soon as it is open, so one without an answer was
    asked in vain, also where the other end closed it as the protocol provides."""
    return record.beats[0].answered_ns if record.beats else None
