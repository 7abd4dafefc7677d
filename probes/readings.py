"""Reads how the instruments themselves did, for trust to judge. Knows running instruments, not limits or verdicts."""

from __future__ import annotations

import numpy as np

from probes.connections import Connections
from probes.flows import LOST, NOT_SENT, FlowWindow, Ints
from probes.prober import Counters, Prober
from probes.requests import Outcome, Requester, RequestWindow
from probes.trust import ConnectionsReading, ProberReading, WakeupsReading
from probes.wakeups import Wakeups


def read_prober(
    prober: Prober,
    window: FlowWindow,
    before: Counters | None = None,
    event_ns: int | None = None,
    until: Counters | None = None,
) -> ProberReading:
    """How the prober did in `window`; `before` and `until` are its counters from when it began and ended (None: its start, now).

    Whether it stalled is asked from `event_ns` on (None: in the whole window).
    """
    lateness = window.lateness()
    total = sum(len(t.state) for t in window.flows)
    return ProberReading(
        vantage=prober.flows[0].vantage,
        alive=prober.alive(),
        heartbeat_age_ns=prober.heartbeat_age_ns(),
        interval_ns=min(f.interval_ns for f in prober.flows),
        lateness_p99_ns=int(np.percentile(lateness, 99, method="higher")) if lateness.size else None,
        lateness_max_ns=int(lateness.max()) if lateness.size else None,
        stall_ns=window.stall_ns(window.t0_ns if event_ns is None else event_ns) or 0,
        answered=total - window.count(LOST, NOT_SENT),
        not_sent=window.count(NOT_SENT),
        socket_drops=(until or prober.counters()).socket_drops - (before.socket_drops if before else 0),
        missing_stamps=window.missing_stamps(),
        clock_step_ns=window.clock_step_ns,
    )


def read_requester(requester: Requester, window: RequestWindow, stall_ns: int) -> ProberReading:
    """How the requester did in `window`; `stall_ns`: by how long it came too late from the event on. It has no sockets that drop, and
    what it has no stamp of is told by its own clock."""
    lateness = window.lateness()
    return ProberReading(
        vantage=requester.series[0].vantage,
        alive=requester.alive(),
        heartbeat_age_ns=requester.heartbeat_age_ns(),
        interval_ns=min(s.interval_ns for s in requester.series),
        lateness_p99_ns=int(np.percentile(lateness, 99, method="higher")) if lateness.size else None,
        lateness_max_ns=int(lateness.max()) if lateness.size else None,
        stall_ns=stall_ns,
        answered=sum(len(t.outcome) for t in window.traces),
        not_sent=window.count(Outcome.NOT_SENT),
        socket_drops=0,
        missing_stamps=0,
        clock_step_ns=window.clock_step_ns,
    )


def read_connections(connections: Connections, t0_ns: int, t1_ns: int) -> ConnectionsReading:
    """How the connecting process did in [t0, t1)."""
    return ConnectionsReading(
        vantage=connections.vantage,
        alive=connections.alive(),
        heartbeat_age_ns=connections.heartbeat_age_ns(),
        max_lag_ns=connections.max_lag_ns(t0_ns, t1_ns),
        interval_ns=connections.interval_ns,
    )


def read_wakeups(wakeups: Wakeups, t0_ns: int, event_ns: int, t1_ns: int) -> WakeupsReading:
    """How late an ordinary process of the lab was served from the event on, in [event, t1), and before it, in [t0, event)."""
    since = wakeups.lateness(event_ns, t1_ns)
    return WakeupsReading(
        alive=wakeups.alive(),
        lateness_p99_ns=_p99(since),
        stall_ns=int(since.max()) if since.size else None,
        before_p99_ns=_p99(wakeups.lateness(t0_ns, event_ns)) or 0,
    )


def _p99(late: Ints) -> int | None:
    return int(np.percentile(late, 99, method="higher")) if late.size else None
